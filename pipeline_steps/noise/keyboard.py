"""What fingers do on a keyboard (Belinkov and Bisk 2018)."""

from __future__ import annotations

import random
import re
import string

from pipeline_steps.noise.places import changed_places

_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_LONGER = re.compile(r"[^\W\d_]{2,}")


def typos(text: str, rate: float, generator: random.Random) -> str:
    """Return a text with mistyped letters: neighbours, swaps, losses and doublings alike.

    Parameters
    ----------
    text : str
        What was written.
    rate : float
        Probability that a letter is mistyped.
    generator : random.Random
        Where and how.
    """
    letters = list(text)
    result: list[str] = []
    position = 0
    while position < len(letters):
        letter = letters[position]
        if letter.isalpha() and generator.random() < rate:
            following = letters[position + 1] if position + 1 < len(letters) else ""
            changed, used = _typo(letter, following, generator)
            result.append(changed)
            position += used
        else:
            result.append(letter)
            position += 1
    return "".join(result)


def _typo(letter: str, following: str, generator: random.Random) -> tuple[str, int]:
    """Return what is typed in place of a letter, and how many letters it replaces."""
    kind = generator.choice(("neighbour", "swap", "loss", "double"))
    if kind == "swap" and following.isalpha() and following != letter:
        return following + letter, 2
    if kind == "loss":
        return "", 1
    if kind == "double":
        return letter * 2, 1
    return generator.choice(_neighbours(letter)), 1


def _neighbours(letter: str) -> str:
    """Return the keys beside a letter's key, in its case; a letter on no key doubles instead."""
    for row in _KEYBOARD:
        index = row.find(letter.lower())
        if index >= 0:
            beside = row[max(0, index - 1) : index] + row[index + 1 : index + 2]
            return beside.upper() if letter.isupper() else beside
    return letter * 2


def edits(text: str, rate: float, generator: random.Random) -> str:
    """Return a text with one slip in some words: the moves of character attacks.

    A swap of neighbours, another, a lost or an additional ASCII letter, at any place of a word of
    two letters or more (Gao et al. 2018, DeepWordBug).

    Parameters
    ----------
    text : str
        What was written.
    rate : float
        Probability that a word gets a slip.
    generator : random.Random
        Which words, and which slip.
    """
    return changed_places(text, _LONGER, rate, generator, lambda word: _slips(word, generator))


def _slips(word: str, generator: random.Random) -> list[str]:
    """Return one swap, substitution, deletion and insertion; the same number is drawn for each."""
    place, letter = generator.randrange(len(word)), generator.choice(string.ascii_letters)
    swap = min(place, len(word) - 2)
    return [
        word[:swap] + word[swap + 1] + word[swap] + word[swap + 2 :],
        word[:place] + letter + word[place + 1 :],
        word[:place] + word[place + 1 :],
        word[:place] + letter + word[place:],
    ]
