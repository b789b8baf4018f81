"""What optical character recognition misreads: letters and groups of them of one shape."""

from __future__ import annotations

import random
import re

from pipeline_steps.noise.places import changed_places

_ALIKE = (
    ("rn", "m"), ("cl", "d"), ("vv", "w"), ("ii", "u"), ("li", "h"), ("nn", "m"), ("fi", "h"),
    ("l", "1"), ("l", "I"), ("I", "1"), ("i", "l"), ("i", "j"), ("O", "0"), ("o", "0"), ("o", "c"),
    ("S", "5"), ("s", "5"), ("B", "8"), ("Z", "2"), ("z", "2"), ("G", "6"), ("g", "9"), ("q", "9"),
    ("e", "c"), ("h", "b"), ("n", "u"), ("a", "o"), ("t", "f"), ("v", "y"), ("D", "O"), ("E", "F"),
    ("Q", "O"), ("U", "V"), ("A", "4"), ("T", "7"),
)  # fmt: skip
_BOTH_WAYS = (*_ALIKE, *((other, one) for one, other in _ALIKE))
_MISREAD = {one: [b for a, b in _BOTH_WAYS if a == one] for one, _ in _BOTH_WAYS}
_PLACES = re.compile("|".join(sorted(_MISREAD, key=len, reverse=True)))


def ocr(text: str, rate: float, generator: random.Random) -> str:
    """Return a text as a scanner may read it; the pairs of shapes are this module's own.

    Parameters
    ----------
    text : str
        What was printed.
    rate : float
        Probability that a letter, digit or pair of letters with a lookalike is misread.
    generator : random.Random
        Which, and as what.
    """
    return changed_places(text, _PLACES, rate, generator, lambda place: _MISREAD[place])
