"""Misspellings of a word: the moves of the character attacks."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline_steps.evaluation.attacks.keyboard_moves import slips_beside
from pipeline_steps.evaluation.attacks.passage import Passage


@dataclass(frozen=True)
class DeepWordBugMoves:
    """One swap, substitution, deletion and insertion each, at a random place (Gao et al. 2018).

    Words of ``min_characters`` or more are changed; the insertion and substitution draw an ASCII
    letter.
    """

    min_characters: int = 2

    def __call__(self, passage: Passage, word: int, generator: random.Random) -> Iterator[str]:
        """Yield misspellings of a word, each by one move."""
        yield from slips_beside(passage, word)
        text = passage.words[word].text
        if len(text) < self.min_characters:
            return
        for move in (_swap, _substitute, _delete, _insert):
            changed = move(text, generator)
            if changed != text:
                yield changed


def _swap(text: str, generator: random.Random) -> str:
    place = generator.randrange(len(text) - 1)
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]


def _substitute(text: str, generator: random.Random) -> str:
    place = generator.randrange(len(text))
    return text[:place] + generator.choice(string.ascii_letters) + text[place + 1 :]


def _delete(text: str, generator: random.Random) -> str:
    place = generator.randrange(len(text))
    return text[:place] + text[place + 1 :]


def _insert(text: str, generator: random.Random) -> str:
    place = generator.randrange(len(text) + 1)
    return text[:place] + generator.choice(string.ascii_letters) + text[place:]


@dataclass(frozen=True)
class Loss:
    """The word taken away."""

    def __call__(self, passage: Passage, word: int, generator: random.Random) -> Iterator[str]:
        """Yield the empty text."""
        del passage, word, generator
        yield ""


@dataclass(frozen=True)
class Nothing:
    """No proposals: for searches whose replacements come from elsewhere."""

    def __call__(self, passage: Passage, word: int, generator: random.Random) -> Iterator[str]:
        """Yield nothing."""
        del passage, word, generator
        yield from ()
