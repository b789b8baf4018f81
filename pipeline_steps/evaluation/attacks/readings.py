"""Slips that a victim does not mend: the character attack of one who knows the defence."""

from __future__ import annotations

import string
from dataclasses import dataclass

from pipeline_steps.evaluation.attacks.keyboard_moves import replaced, swapped
from pipeline_steps.evaluation.attacks.search import READINGS, Ask, Attempt
from pipeline_steps.evaluation.attacks.space import Proposing

_SIGNS = string.ascii_lowercase + "013456789@$"


@dataclass(frozen=True)
class DifferentReadings:
    """Of all slips in a word, one for each way in which the victim reads them.

    What a normaliser makes the word again is left out, what it makes another word is not: the
    moves follow the defence (Tramer et al. 2020, On adaptive attacks). A victim without one
    reads every slip otherwise.

    Parameters
    ----------
    most : int
        Slips of a word, drawn where there are more.
    """

    most: int = 40

    def options(self, attempt: Attempt) -> Proposing:
        """Return slips of each word, in a drawn order."""
        (found,) = yield Ask(READINGS, [{}])
        drawn = []
        for different in found:
            kept = list(different)
            attempt.generator.shuffle(kept)
            drawn.append(kept[: self.most])
        return drawn


def slips(word: str) -> list[str]:
    """Return every text one slip from a word of two letters or more.

    Swaps, losses, another letter, digit or sign, an additional letter, and a blank inside.
    """
    if len(word) < 2:  # noqa: PLR2004 - nothing is left, or nothing is like it
        return []
    inside = range(1, len(word))
    places = range(len(word))
    found = [swapped(word, place) for place in places[:-1]]
    found += [word[:place] + word[place + 1 :] for place in places]
    found += [f"{word[:place]} {word[place:]}" for place in inside]
    found += [replaced(word, place, sign) for place in places for sign in _SIGNS]
    found += [
        word[:place] + letter + word[place:]
        for place in range(len(word) + 1)
        for letter in string.ascii_lowercase
    ]
    return [new for new in dict.fromkeys(found) if new != word]
