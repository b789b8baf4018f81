"""An evaluation report from predictions: a pure function of the file, no torch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pipeline_steps.evaluation.metrics import class_scores, confusion_counts
from pipeline_steps.evaluation.outcomes import Outcomes, outcomes
from pipeline_steps.evaluation.slices import slice_metrics, worst_slice
from pipeline_steps.evaluation.uncertainty import (
    GREATER_IS_BETTER,
    bootstrap_metrics,
    percentile_interval,
    point_metrics,
)
from pipeline_steps.params import EvaluateParams
from pipeline_steps.predictions_file import read_predictions
from pipeline_steps.types import ClassMetrics, EvaluationReport, MetricValue, Predictions

_TOP_CONFUSIONS = 20


def evaluate(predictions: Predictions, params: EvaluateParams) -> EvaluationReport:
    """Return all metrics of one suite, each with its n and bootstrap interval.

    Raises
    ------
    DataError
        If the predictions are empty, altered or not finite.
    """
    table = read_predictions(predictions)
    rows = outcomes(table, params.calibration_bins)
    slices = slice_metrics(rows, table.columns, params)
    return EvaluationReport(
        checkpoint_digest=predictions.checkpoint_digest,
        dataset_digest=predictions.dataset_digest,
        predictions_digest=predictions.digest,
        suite=predictions.suite,
        kind=predictions.kind,
        n=len(rows),
        metrics=metric_values(rows, params),
        classes=class_metrics(rows),
        slices=slices,
        worst_slice=worst_slice(slices),
        confusion=top_confusions(rows),
        reliability=reliability_points(rows),
    )


def metric_values(rows: Outcomes, params: EvaluateParams) -> tuple[MetricValue, ...]:
    """Return every metric with its interval; an infinite one is undefined (``None``)."""
    points = point_metrics(rows)
    resampled = bootstrap_metrics(rows, params.bootstrap_resamples, params.seed)
    return tuple(
        _metric(name, points[name], resampled[name], len(rows), params.confidence)
        for name in GREATER_IS_BETTER
    )


def class_metrics(rows: Outcomes) -> tuple[ClassMetrics, ...]:
    """Return precision, recall, F1 and support of each label that occurs."""
    counts = confusion_counts(rows.truth, rows.predicted, len(rows.labels))
    precision, recall, f1, support = class_scores(counts)
    present = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    return tuple(
        ClassMetrics(
            label=rows.labels[i],
            precision=float(precision[i]),
            recall=float(recall[i]),
            f1=float(f1[i]),
            support=int(support[i]),
        )
        for i in present
    )


def top_confusions(rows: Outcomes) -> tuple[tuple[str, str, int], ...]:
    """Return the most frequent (truth, predicted, count) of the mistakes, largest first."""
    counts = confusion_counts(rows.truth, rows.predicted, len(rows.labels))
    np.fill_diagonal(counts, 0)
    mistakes = [(int(counts[i, j]), int(i), int(j)) for i, j in zip(*counts.nonzero(), strict=True)]
    mistakes.sort(key=lambda mistake: (-mistake[0], mistake[1], mistake[2]))
    return tuple((rows.labels[i], rows.labels[j], n) for n, i, j in mistakes[:_TOP_CONFUSIONS])


def reliability_points(rows: Outcomes) -> tuple[tuple[float, float, int], ...]:
    """Return (mean confidence, accuracy, rows) of each calibration bin that holds rows."""
    points = []
    for index in range(rows.n_bins):
        inside = rows.bins == index
        if inside.any():
            mean = float(rows.confidence[inside].mean())
            points.append((mean, float(rows.correct[inside].mean()), int(inside.sum())))
    return tuple(points)


def _metric(
    name: str, value: float, resampled: np.ndarray[Any, Any], n: int, confidence: float
) -> MetricValue:
    better = GREATER_IS_BETTER[name]
    if not math.isfinite(value):
        return MetricValue(name=name, value=None, n=n, greater_is_better=better)
    low, high = percentile_interval(resampled, confidence)
    return MetricValue(
        name=name, value=value, n=n, ci_low=low, ci_high=high, greater_is_better=better
    )
