"""An evaluation report from predictions: a pure function of the file, no torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline_steps.evaluation.answers import AnsweredRows
from pipeline_steps.evaluation.calibration import reliability_points
from pipeline_steps.evaluation.label_answers import not_measured
from pipeline_steps.evaluation.metrics import class_scores, confusion_counts
from pipeline_steps.evaluation.outcomes import Outcomes
from pipeline_steps.evaluation.reading import read_scored
from pipeline_steps.evaluation.slices import slice_metrics, worst_slice
from pipeline_steps.evaluation.uncertainty import metric_values
from pipeline_steps.evaluation_types import ClassMetrics, EvaluationReport
from pipeline_steps.judging_params import EvaluateParams
from pipeline_steps.types import Predictions

_TOP_CONFUSIONS = 20


def evaluate(predictions: Predictions, params: EvaluateParams) -> EvaluationReport:
    """Return all metrics of one suite, each with its n and interval.

    The order of the rows changes nothing: they are put in the order of their ids first.

    Raises
    ------
    DataError
        If the predictions are empty, altered, repeated or not finite.
    """
    table, rows = read_scored(predictions, params)
    slices = slice_metrics(rows, table.columns, params)
    return EvaluationReport(
        checkpoint_digest=predictions.checkpoint_digest,
        dataset_digest=predictions.dataset_digest,
        predictions_digest=predictions.digest,
        suite=predictions.suite,
        kind=predictions.kind,
        n=len(rows),
        metrics=metric_values(rows, params),
        **_details(rows),
        slices=slices,
        worst_slice=worst_slice(slices),
        reliability=reliability_points(rows) if rows.has_confidence else (),
        headlines=rows.headlines,
    )


def _details(rows: Outcomes | AnsweredRows) -> dict[str, Any]:
    """Return what is said of single labels, types and tags."""
    if isinstance(rows, Outcomes):
        return {
            "classes": class_metrics(rows),
            "confusion": top_confusions(rows),
            "not_measured": not_measured(rows),
        }
    found = rows.statistics
    return {"classes": found.classes, "tags": found.tags, "confusion": found.confusion}


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
