"""Candidate against champion on the rows that share a value: harm that the average hides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline_steps.comparison_types import PairedDifference, PairedSlice
from pipeline_steps.evaluation.scored import ScoredRows
from pipeline_steps.evaluation.slices import slice_rows
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
    for column, value, rows in slice_rows(columns, params):
        ours, theirs = candidate.take(rows), champion.take(rows)
        for difference in compared(ours, theirs, params, candidate.headlines[:1]):
            n = int(rows.sum())
            found.append(PairedSlice(column=column, value=value, n=n, difference=difference))
    return tuple(found)
