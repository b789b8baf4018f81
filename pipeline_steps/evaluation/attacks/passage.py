"""The words of a row that an attack may change, and the row with some of them changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from pipeline_steps.problems.problem import Noise

Row = Mapping[str, Any]
Edits = Mapping[int, str]
"""Word -> what stands in its place; the empty text removes it."""

# Scripts that are written without blanks: each of their characters is a word.
_UNSPACED = r"\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_ONE_UNSPACED = re.compile(rf"[{_UNSPACED}]")
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}](?:[\w'\u2019*@-]*[^\W_])?")


SLOT, FRONT = "slot", "front"
"""Places of a text whose words stay, and behind or before which something may be put."""


class Offer(Protocol):
    """What may be changed in rows; a problem itself offers what noise is put on."""

    def noisy(self, row: Row, noise: Noise, /) -> dict[str, Any]:
        """Return the row with changed texts, place by place; its target still fits."""
        ...

    def find_flaws(self, row: Row, /) -> Sequence[str]:
        """Return why a row cannot be used."""
        ...


@dataclass(frozen=True)
class Word:
    """A word and where it stands: the piece of the row, and its characters there."""

    place: str
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Passage:
    """A row as the words that may be changed; what the target needs stays as it is.

    Parameters
    ----------
    row : mapping
        The columns of an example.
    problem : Offer
        Cuts the row into pieces, so that tags and spans still fit what is put together again.
    pieces : mapping
        Place -> text.
    words : tuple of Word
        In reading order.
    """

    row: Row
    problem: Offer
    pieces: Mapping[str, str]
    words: tuple[Word, ...]

    @classmethod
    def of(cls, row: Row, problem: Offer) -> Passage:
        """Return the passage of a row."""
        pieces: dict[str, str] = {}

        def collect(text: str, place: str) -> str:
            pieces[place] = text
            return text

        problem.noisy(row, collect)
        found = [word for place, text in pieces.items() for word in _words(place, text)]
        return cls(row, problem, pieces, tuple(found))

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def n_read(self) -> int:
        """How many words the pieces have, those that stay among them."""
        return sum(count_words(text) for text in self.pieces.values())

    @property
    def example_id(self) -> str:
        """The row's name."""
        return str(self.row["example_id"])

    def changed(self, edits: Edits) -> dict[str, Any]:
        """Return the row with words replaced."""
        texts = self._changed_pieces(edits)
        return self.problem.noisy(self.row, lambda text, place: texts.get(place, text))

    def text(self, edits: Edits) -> str:
        """Return all pieces with words replaced, as one text."""
        texts = self._changed_pieces(edits)
        return " ".join(texts.get(place, text) for place, text in self.pieces.items())

    def whole(self, edits: Edits) -> str:
        """Return the row with words replaced as people read it, with what stays: answers, names."""
        row = self.changed(edits)
        return " ".join(text for text in (row["text"], row.get("text_pair")) if text)

    def _changed_pieces(self, edits: Edits) -> dict[str, str]:
        by_place: dict[str, list[int]] = {}
        for index in sorted(edits):
            by_place.setdefault(self.words[index].place, []).append(index)
        return {place: self._splice(place, which, edits) for place, which in by_place.items()}

    def _splice(self, place: str, which: list[int], edits: Edits) -> str:
        text, parts, position = self.pieces[place], [], 0
        for index in which:
            word = self.words[index]
            parts += [text[position : word.start], edits[index]]
            position = word.end
        return "".join([*parts, text[position:]])

    def spans(self, edits: Edits) -> list[tuple[str, int, int]]:
        """Return where each word stands in its piece after edits: place, start and end."""
        shift: dict[str, int] = {}
        found = []
        for index, word in enumerate(self.words):
            moved = shift.get(word.place, 0)
            start = word.start + moved
            end = start + len(edits.get(index, word.text))
            shift[word.place] = end - word.end
            found.append((word.place, start, end))
        return found

    @cached_property
    def spellings(self) -> tuple[str, ...]:
        """The words as they were written."""
        return tuple(word.text for word in self.words)


def count_words(text: str) -> int:
    """Return how many words a text has; each character of a script without blanks is one."""
    return len(_WORD.findall(text))


def stands_alone(word: str) -> bool:
    """Return whether a word is one character of a script that is written without blanks."""
    return _ONE_UNSPACED.fullmatch(word) is not None


def _words(place: str, text: str) -> Iterator[Word]:
    """Yield the words of a piece; a slot is one word without a letter, at the end or in front."""
    if place in (SLOT, FRONT):
        where = 0 if place == FRONT else len(text)
        yield Word(place, where, where, "")
        return
    for match in _WORD.finditer(text):
        yield Word(place, match.start(), match.end(), match.group())
