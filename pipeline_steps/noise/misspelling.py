"""Misspellings that people really made, as codespell's dictionary lists them."""

from __future__ import annotations

import random
from collections import defaultdict
from functools import cache

from pipeline_steps.noise.places import WORD, changed_places, in_case_of, is_plainly_cased
from pipeline_steps.noise.resources import MISSPELLINGS


def misspellings(text: str, rate: float, generator: random.Random) -> str:
    """Return a text with misspelt words, in the case of what they replace; English.

    Parameters
    ----------
    text : str
        What was written.
    rate : float
        Probability that a word with a known misspelling is misspelt; each of its misspellings
        is as likely.
    generator : random.Random
        Which words, and how.
    """
    known = _misspellings()

    def options(word: str) -> list[str]:
        found = known.get(word.lower(), ())
        return [in_case_of(w, word) for w in found] if found and is_plainly_cased(word) else []

    return changed_places(text, WORD, rate, generator, options)


@cache
def corrections() -> dict[str, str]:
    """Return misspelling -> correction, both single words in lower case.

    Left out is what has several corrections, and what codespell itself does not correct unasked
    (behind a comma it says why).
    """
    pairs = (line.split("->") for line in MISSPELLINGS.read().splitlines() if "->" in line)
    return {
        wrong: right
        for wrong, right in pairs
        if WORD.fullmatch(wrong) and WORD.fullmatch(right) and (wrong + right).islower()
    }


@cache
def _misspellings() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for wrong, right in corrections().items():
        found[right].append(wrong)
    return {right: tuple(sorted(wrong)) for right, wrong in found.items()}
