"""Characters that look like others, or like nothing (Boucher et al. 2022, Bad Characters)."""

from __future__ import annotations

import json
import random
import re
import unicodedata
from functools import cache

from pipeline_steps.noise.places import changed_places
from pipeline_steps.noise.resources import CONFUSABLES

ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff"
"""Zero-width space, non-joiner and joiner, word joiner, byte order mark: none is seen."""
_LETTER_OR_DIGIT = re.compile(r"[A-Za-z0-9]")
_BETWEEN_LETTERS = re.compile(r"(?<=\w)(?=\w)")
_SCRIPTS = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN")
_LAST_CODE_POINT = 0xFFFF  # beyond it, few fonts have the letters of these scripts


def confusables(text: str, rate: float, generator: random.Random) -> str:
    """Return a text with letters that look the same and are others.

    Parameters
    ----------
    text : str
        What was written.
    rate : float
        Probability that an ASCII letter or digit with a lookalike is replaced by one.
    generator : random.Random
        Which, and by which.
    """
    known = lookalikes()
    return changed_places(text, _LETTER_OR_DIGIT, rate, generator, lambda c: known.get(c, ""))


def zero_width(text: str, rate: float, generator: random.Random) -> str:
    """Return a text with characters in its words that cannot be seen.

    Parameters
    ----------
    text : str
        What was written.
    rate : float
        Probability that a place between two letters or digits gets one.
    generator : random.Random
        Which places, and what they get.
    """
    return changed_places(text, _BETWEEN_LETTERS, rate, generator, lambda _: ZERO_WIDTH)


@cache
def lookalikes() -> dict[str, str]:
    """Return ASCII letter or digit -> letters of Latin, Greek, Cyrillic and Armenian like it.

    Each looks like that one ASCII character and no other, and is not made that character by
    compatibility normalisation (NFKC), so that it is not undone unseen.
    """
    table = json.loads(CONFUSABLES.read())
    ascii_like = {
        other: [entry["c"] for entry in entries if entry["c"].isascii()]
        for other, entries in table.items()
        if _may_stand_in(other)
    }
    found: dict[str, list[str]] = {}
    for other, plain in sorted(ascii_like.items()):
        if len(plain) == 1 and _LETTER_OR_DIGIT.fullmatch(plain[0]):
            found.setdefault(plain[0], []).append(other)
    return {plain: "".join(others) for plain, others in found.items()}


def _may_stand_in(other: str) -> bool:
    return (
        len(other) == 1
        and 0x7F < ord(other) <= _LAST_CODE_POINT  # noqa: PLR2004 - behind ASCII
        and unicodedata.category(other) in ("Ll", "Lu")
        and unicodedata.name(other).startswith(_SCRIPTS)
        and not unicodedata.normalize("NFKC", other).isascii()
    )
