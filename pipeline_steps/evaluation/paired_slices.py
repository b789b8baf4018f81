"""Candidate against champion on the rows that share a value: harm that the average hides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline_steps.comparison_types import PairedDifference, PairedSlice
from pipeline_steps.evaluation.scored import ScoredRows
from pipeline_steps.judging_params import EvaluateParams

Array = np.ndarray[Any, Any]
Compared = Callable[
    [ScoredRows, ScoredRows, EvaluateParams, Sequence[str]], tuple[PairedDifference, ...]
]


def paired_slices(
    candidate: ScoredRows,
    champion: ScoredRows,
    columns: Mapping[str, Array],
    params: EvaluateParams,
    compared: Compared,
) -> tuple[PairedSlice, ...]:
    """Return the difference in the first headline metric on each slice that has enough rows.

    The slices are those of the reports: ``evaluate.slice_columns``, of each column its largest
    values.

    Parameters
    ----------
    candidate, champion : ScoredRows
        The same rows in the same order.
    columns : mapping of str to ndarray (n,)
        Values of the rows.
    params : EvaluateParams
        Which columns, how many rows, which intervals.
    compared : callable
        Returns the named differences of some of the rows.
    """
    found = []
    for column, value, rows in _parts(columns, params):
        ours, theirs = candidate.take(rows), champion.take(rows)
        for difference in compared(ours, theirs, params, candidate.headlines[:1]):
            n = int(rows.sum())
            found.append(PairedSlice(column=column, value=value, n=n, difference=difference))
    return tuple(found)


def _parts(
    columns: Mapping[str, Array], params: EvaluateParams
) -> Iterator[tuple[str, str, Array]]:
    """Yield column, value and mask of each slice, the largest ones of a column first."""
    for column in params.slice_columns:
        values = columns.get(column)
        counts = Counter(v for v in ([] if values is None else values.tolist()) if v is not None)
        if values is None or len(counts) < 2:  # noqa: PLR2004 - one value makes no slices
            continue
        for value, n in counts.most_common(params.max_slices):
            if n >= params.min_slice_rows:
                yield column, value, np.asarray(values == value)
