"""Reads a page as a browser would: tags, attributes, text, and whether every tag is closed."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "wbr", "br", "input"}


class Reader(HTMLParser):
    """Collects tags and attributes, and whether every tag is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags, self.attributes, self.open, self.text = set(), set(), [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader
