"""Places of a text that noise may hit, each with randomness of its own."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
"""A word: letters, with apostrophes between them."""


def changed_places(
    text: str,
    places: re.Pattern[str],
    rate: float,
    generator: random.Random,
    options: Callable[[str], Sequence[str]],
) -> str:
    """Return a text in which some places read otherwise.

    Two numbers are drawn for each place, whatever the rate: what a low rate changes, a higher one
    changes in the same way, and more beside it.

    Parameters
    ----------
    text : str
        What was written.
    places : re.Pattern
        Where noise may hit.
    rate : float
        Probability that a place with options is changed.
    generator : random.Random
        Which places, and which option.
    options : callable
        What may stand in a place's stead; nothing: the place stays.
    """

    def change(place: re.Match[str]) -> str:
        found = options(place[0])
        if not found:
            return place[0]
        hit, which = generator.random(), generator.random()
        return found[int(which * len(found))] if hit < rate else place[0]

    return places.sub(change, text)


def in_case_of(word: str, like: str) -> str:
    """Return a word in lower case as another is written: all capitals, a capital first, or neither.

    Examples
    --------
    >>> in_case_of("teh", "The"), in_case_of("teh", "THE"), in_case_of("teh", "the")
    ('Teh', 'TEH', 'teh')
    """
    if len(like) > 1 and like.isupper():
        return word.upper()
    return word[:1].upper() + word[1:] if like[:1].isupper() else word


def is_plainly_cased(word: str) -> bool:
    """Return whether a word is one of ASCII letters whose case :func:`in_case_of` can repeat."""
    return word.isascii() and in_case_of(word.lower(), word) == word
