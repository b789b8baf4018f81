"""Metrics of the rows that share a value: the average hides who is served badly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline_steps.evaluation.scored import ScoredRows
from pipeline_steps.evaluation.uncertainty import metric_values
from pipeline_steps.evaluation_types import LeftOutSlices, SliceMetrics
from pipeline_steps.judging_params import EvaluateParams

Array = np.ndarray[Any, Any]


def slice_metrics(
    rows: ScoredRows,
    columns: Mapping[str, Array],
    params: EvaluateParams,
    names: Sequence[str] | None = None,
) -> tuple[SliceMetrics, ...]:
    """Return the named metrics of each value that has enough rows, the largest slices first.

    Without names they are the headline metrics.

    A column with one value only makes no slices, and a column with more than ``max_slices``
    values gives its largest ones (:func:`left_out_slices` says which it does not).
    """
    asked = names or rows.headlines
    return tuple(
        _slice(rows.take(inside), column, value, asked, params)
        for column, value, inside in slice_rows(columns, params)
    )


def slice_rows(
    columns: Mapping[str, Array], params: EvaluateParams
) -> Iterator[tuple[str, str, Array]]:
    """Yield column, value and mask of each slice, the largest ones of a column first."""
    for column, counts in _counts(columns, params):
        for value, n in counts.most_common(params.max_slices):
            if n >= params.min_slice_rows:
                yield column, value, np.asarray(columns[column] == value)


def left_out_slices(
    columns: Mapping[str, Array], params: EvaluateParams
) -> tuple[LeftOutSlices, ...]:
    """Return, of each column, how many values have enough rows and are no slices all the same."""
    found = []
    for column, counts in _counts(columns, params):
        sizes = [n for _, n in counts.most_common()[params.max_slices :]]
        enough = [n for n in sizes if n >= params.min_slice_rows]
        if enough:
            found.append(LeftOutSlices(column=column, n_values=len(enough), n=enough[0]))
    return tuple(found)


def worst_slice(slices: tuple[SliceMetrics, ...]) -> SliceMetrics | None:
    """Return the slice with the lowest first metric; of equals, the one with more rows.

    The lowest of many small slices is low by chance as well: read it with its n and interval.
    """

    def first_metric(part: SliceMetrics) -> tuple[float, int]:
        value = part.metrics[0].value
        return (2.0 if value is None else value, -part.n)

    return min(slices, key=first_metric, default=None)


def _counts(
    columns: Mapping[str, Array], params: EvaluateParams
) -> Iterator[tuple[str, Counter[str]]]:
    """Yield the columns that are asked for and have several values, with the rows of each value."""
    for column in params.slice_columns:
        values = columns.get(column)
        counts = Counter(v for v in ([] if values is None else values.tolist()) if v is not None)
        if len(counts) > 1:
            yield column, counts


def _slice(
    inside: ScoredRows, column: str, value: str, names: Sequence[str], params: EvaluateParams
) -> SliceMetrics:
    metrics = metric_values(inside, params, names)
    return SliceMetrics(column=column, value=value, n=len(inside), metrics=metrics)
