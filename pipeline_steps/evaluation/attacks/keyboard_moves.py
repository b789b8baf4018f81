"""What a reader overlooks and a keyboard makes: the moves of TextBugger and of Pruthi et al."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline_steps.evaluation.attacks.passage import Passage, stands_alone

_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_LIKE = {"a": "@", "b": "6", "e": "3", "g": "9", "i": "1", "l": "1", "o": "0", "s": "$", "z": "2"}
_SHORTEST_WITH_INSIDE = 3
_SHORTEST_WITH_SWAP = 4


@dataclass(frozen=True)
class TextBuggerMoves:
    """One blank, loss, inner swap, lookalike and neighbouring key each (Li et al. 2019).

    The first and last letter stay where a letter is lost, swapped or blanked; which place is drawn.
    """

    def __call__(self, passage: Passage, word: int, generator: random.Random) -> Iterator[str]:
        """Yield misspellings of a word, each by one move."""
        yield from slips_beside(passage, word)
        text = passage.words[word].text
        inside = range(1, len(text) - 1)
        if len(text) >= _SHORTEST_WITH_INSIDE:
            place = generator.choice(inside)
            yield f"{text[:place]} {text[place:]}"
            yield _without(text, generator.choice(inside))
        if len(text) >= _SHORTEST_WITH_SWAP:
            yield swapped(text, generator.choice(inside[:-1]))
        for like in (lambda c: _LIKE.get(c.lower(), ""), keys_beside):
            places = [i for i, letter in enumerate(text) if like(letter)]
            if places:
                place = generator.choice(places)
                yield replaced(text, place, generator.choice(like(text[place])))


@dataclass(frozen=True)
class InnerEdits:
    """Swaps, losses, neighbouring keys and insertions inside a word (Pruthi et al. 2019).

    The first and last letter stay, and words under ``min_characters`` are left alone.

    Parameters
    ----------
    min_characters : int
        Of a word that is changed.
    insertions : bool
        Whether a letter, drawn, is inserted at each inner place; all other moves are listed.
    """

    min_characters: int = 4
    insertions: bool = True

    def __call__(self, passage: Passage, word: int, generator: random.Random) -> Iterator[str]:
        """Yield all words one edit away."""
        yield from slips_beside(passage, word)
        text = passage.words[word].text
        if len(text) < max(self.min_characters, _SHORTEST_WITH_INSIDE):
            return
        inside = range(1, len(text) - 1)
        yield from (swapped(text, place) for place in inside[:-1])
        yield from (_without(text, place) for place in inside)
        for place in inside:
            yield from (replaced(text, place, key) for key in keys_beside(text[place]))
        if self.insertions:
            for place in range(1, len(text)):
                yield text[:place] + generator.choice(string.ascii_lowercase) + text[place:]


def slips_beside(passage: Passage, word: int) -> Iterator[str]:
    """Yield slips of a character that is a word by itself, as characters without blanks are.

    It stands twice; or that behind it (or else before it) stands in its place, or before it too. No
    slip takes it away, so that no row is emptied.
    """
    text = passage.words[word].text
    if not stands_alone(text):
        return
    yield text + text
    neighbour = _neighbour(passage, word)
    if neighbour:
        yield neighbour
        yield neighbour + text


def _neighbour(passage: Passage, word: int) -> str:
    """Return the character that a word touches, the one behind it first; or nothing."""
    here = passage.words[word]
    for other in (word + 1, word - 1):
        if not 0 <= other < len(passage):
            continue
        there = passage.words[other]
        touching = here.end == there.start or there.end == here.start
        if touching and here.place == there.place and stands_alone(there.text):
            return there.text
    return ""


def keys_beside(letter: str) -> str:
    """Return the letters whose keys are beside that of a letter, in its case; or nothing."""
    for row in _KEYBOARD:
        index = row.find(letter.lower())
        if index >= 0:
            beside = row[max(0, index - 1) : index] + row[index + 1 : index + 2]
            return beside.upper() if letter.isupper() else beside
    return ""


def swapped(text: str, place: int) -> str:
    """Return a text with the character at a place and the one behind it swapped."""
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]


def replaced(text: str, place: int, new: str) -> str:
    """Return a text with something else in the place of one character."""
    return text[:place] + new + text[place + 1 :]


def _without(text: str, place: int) -> str:
    return text[:place] + text[place + 1 :]
