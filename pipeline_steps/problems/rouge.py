"""ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004) as the package ``rouge-score`` has them, no stemmer.

Texts are lower-cased and cut at all but ASCII letters and digits, as there: an "ä" separates words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

NAMES = ("rouge1", "rouge2", "rougeL")
_WORD = re.compile(r"[a-z0-9]+")


def rouge_scores(references: Sequence[str], text: str) -> list[float]:
    """Return the F-measures of ROUGE-1, -2 and -L, each against its best reference.

    Examples
    --------
    >>> rouge_scores(["the cat sat"], "the cat ran")
    [0.6666666666666666, 0.5, 0.6666666666666666]
    """
    said = _WORD.findall(text.lower())
    rows = [_scores(_WORD.findall(reference.lower()), said) for reference in references]
    return [max(column) for column in zip(*rows, strict=True)]


def longest_common(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest common subsequence, by bits (Allison & Dix 1986).

    Examples
    --------
    >>> longest_common("abcbdab", "bdcaba")
    4
    """
    places: dict[str, int] = {}
    for place, token in enumerate(first):
        places[token] = places.get(token, 0) | 1 << place
    row = 0
    for token in second:
        either = row | places.get(token, 0)
        row = either & ((either - (row << 1 | 1)) ^ either)
    return row.bit_count()


def _scores(wanted: Sequence[str], said: Sequence[str]) -> list[float]:
    return [
        *(_overlap(wanted, said, n) for n in (1, 2)),
        _f_measure(longest_common(wanted, said), len(wanted), len(said)),
    ]


def _overlap(wanted: Sequence[str], said: Sequence[str], n: int) -> float:
    ours, theirs = (
        Counter(tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1))
        for tokens in (said, wanted)
    )
    return _f_measure((ours & theirs).total(), theirs.total(), ours.total())


def _f_measure(found: int, wanted: int, said: int) -> float:
    return 2.0 * found / (wanted + said) if found else 0.0
