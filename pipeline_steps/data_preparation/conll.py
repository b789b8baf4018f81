"""Sentences of a file with one token a line, an empty line between sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pipeline_steps.data_preparation.raw_rows import EXCERPT_CHARACTERS, RawRow, RejectedRow
from pipeline_steps.data_preparation.text_lines import NumberedLine

# "# key = value", and the two marks of CoNLL-U without a value; a token may begin with "#", too.
_COMMENT = re.compile(r"#\s*([\w.:-]+)\s*=\s*(.*)$")
_MARK = re.compile(r"#\s*new(doc|par)\b")
_DOCUMENT = "-DOCSTART-"


@dataclass
class _Sentence:
    comments: dict[str, str] = field(default_factory=dict)
    tokens: list[list[str]] = field(default_factory=list)
    start: int = 1
    size: int = 0
    broken: RejectedRow | None = None


def sentences(lines: Iterable[NumberedLine], max_bytes: int) -> Iterator[RawRow | RejectedRow]:
    """Yield one row a sentence.

    Its fields: ``text``, the tokens (first column) joined by spaces; ``tokens`` and ``tags`` (last
    column) as lists, for problems that label tokens; and each comment line ``# key = value`` above
    the first token as field ``key``: where a label of the whole sentence comes from. Columns are
    separated by tabs or, in a line without one, by white space. A sentence with an unreadable
    line, or of more than ``max_bytes`` characters, is set aside whole.
    """
    sentence = _Sentence()
    for number, line in lines:
        if isinstance(line, str) and not line.strip():
            yield from _finished(sentence)
            sentence = _Sentence()
        else:
            _take(sentence, number, line, max_bytes)
    yield from _finished(sentence)


def _take(sentence: _Sentence, number: int, line: str | RejectedRow, max_bytes: int) -> None:
    """Add a line to the sentence."""
    if isinstance(line, RejectedRow):
        sentence.broken = sentence.broken or line
        return
    if not sentence.tokens:
        if _MARK.match(line) or line.startswith(_DOCUMENT):
            return
        if comment := _COMMENT.match(line.rstrip("\r\n")):
            sentence.comments[comment[1]] = comment[2].strip()
            return
        sentence.start = number
    sentence.size += len(line)
    if sentence.size <= max_bytes:
        columns = line.rstrip("\r\n").split("\t") if "\t" in line else line.split()
        sentence.tokens.append(columns)
    elif sentence.broken is None:
        detail = f"a sentence longer than {max_bytes} characters"
        excerpt = " ".join(token[0] for token in sentence.tokens[:20])[:EXCERPT_CHARACTERS]
        sentence.broken = RejectedRow(sentence.start, "line_too_long", detail, excerpt)


def _finished(sentence: _Sentence) -> Iterator[RawRow | RejectedRow]:
    if sentence.broken is not None:
        yield sentence.broken
    elif sentence.tokens:
        words = [token[0] for token in sentence.tokens]
        tags = [token[-1] for token in sentence.tokens]
        fields: dict[str, Any] = {"text": " ".join(words), "tokens": words, "tags": tags}
        yield RawRow(sentence.start, {**fields, **sentence.comments})
