"""Metrics of the rows that share a value: the average hides who is served badly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline_steps.evaluation.scored import ScoredRows
from pipeline_steps.evaluation.uncertainty import metric_values
from pipeline_steps.evaluation_types import SliceMetrics
from pipeline_steps.judging_params import EvaluateParams


def slice_metrics(
    rows: ScoredRows,
    columns: Mapping[str, np.ndarray[Any, Any]],
    params: EvaluateParams,
    names: Sequence[str] | None = None,
) -> tuple[SliceMetrics, ...]:
    """Return the named metrics of each value that has enough rows, the largest slices first.

    Without names they are the headline metrics.

    A column with one value only makes no slices, and a column with more than ``max_slices``
    values gives its largest ones.
    """
    slices = []
    for column in params.slice_columns:
        values = columns.get(column)
        if values is None:
            continue
        counts = Counter(value for value in values.tolist() if value is not None)
        frequent = [
            v for v, n in counts.most_common(params.max_slices) if n >= params.min_slice_rows
        ]
        if len(counts) > 1:
            asked = names or rows.headlines
            slices += [
                _slice(rows.take(values == value), column, value, asked, params)
                for value in frequent
            ]
    return tuple(slices)


def worst_slice(slices: tuple[SliceMetrics, ...]) -> SliceMetrics | None:
    """Return the slice with the lowest first metric; of equals, the one with more rows.

    The lowest of many small slices is low by chance as well: read it with its n and interval.
    """

    def first_metric(part: SliceMetrics) -> tuple[float, int]:
        value = part.metrics[0].value
        return (2.0 if value is None else value, -part.n)

    return min(slices, key=first_metric, default=None)


def _slice(
    inside: ScoredRows, column: str, value: str, names: Sequence[str], params: EvaluateParams
) -> SliceMetrics:
    metrics = metric_values(inside, params, names)
    return SliceMetrics(column=column, value=value, n=len(inside), metrics=metrics)
