"""chrF (Popovic 2015) as sacreBLEU has it by default (chrF2): a function of sums.

The signature is ``nrefs:var|case:mixed|eff:yes|nc:6|nw:0|space:no``; a score of 1 here is one of
100 there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline_steps.problems.statistics import ratio

Array = np.ndarray[Any, Any]
ORDER = 6
WIDTH = 3 * ORDER
"""Numbers that a row adds: n-grams said, n-grams wanted and matches, of each order."""
_BETA_SQUARED = 4.0


def chrf_counts(references: Sequence[str], text: str) -> list[int]:
    """Return what a row adds: (said, wanted, found) x 6, against the reference with the best F."""
    said = _ngrams(text)
    rows = [_matches(said, _ngrams(reference)) for reference in references]
    return rows[int(np.argmax(chrf(np.array(rows, dtype=float))))]


def chrf(sums: Array) -> Array:
    """Return chrF2, 0 to 1, of sums (..., 18) of :func:`chrf_counts`.

    Precision and recall are averaged over the orders that both sides have.
    """
    said, wanted, found = (sums[..., start::3] for start in range(3))
    counts = (said > 0) & (wanted > 0)
    n_orders = counts.sum(axis=-1)
    precision = ratio((ratio(found, said) * counts).sum(axis=-1), n_orders)
    recall = ratio((ratio(found, wanted) * counts).sum(axis=-1), n_orders)
    return ratio((1 + _BETA_SQUARED) * precision * recall, _BETA_SQUARED * precision + recall)


def _ngrams(text: str) -> list[Counter[str]]:
    letters = "".join(text.split())
    return [
        Counter(letters[start : start + n] for start in range(len(letters) - n + 1))
        for n in range(1, ORDER + 1)
    ]


def _matches(said: Sequence[Counter[str]], wanted: Sequence[Counter[str]]) -> list[int]:
    return [
        number
        for ours, theirs in zip(said, wanted, strict=True)
        for number in (
            ours.total() if theirs else 0,
            theirs.total(),
            sum(min(count, theirs[ngram]) for ngram, count in ours.items()),
        )
    ]
