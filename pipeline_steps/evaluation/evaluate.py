"""An evaluation report from predictions: a pure function of the file, no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pipeline_steps.errors import counted
from pipeline_steps.evaluation.answers import AnsweredRows
from pipeline_steps.evaluation.calibration import reliability_points
from pipeline_steps.evaluation.group_means import group_means
from pipeline_steps.evaluation.label_answers import not_measured
from pipeline_steps.evaluation.metrics import class_scores, confusion_counts
from pipeline_steps.evaluation.outcomes import Outcomes
from pipeline_steps.evaluation.reading import read_scored, sliced_columns
from pipeline_steps.evaluation.slices import left_out_slices, slice_metrics, worst_slice
from pipeline_steps.evaluation.stress.text_marks import TextMarks
from pipeline_steps.evaluation.uncertainty import metric_values
from pipeline_steps.evaluation.worst_group import worst_group_metric
from pipeline_steps.evaluation_types import ClassMetrics, EvaluationReport
from pipeline_steps.judging_params import EvaluateParams
from pipeline_steps.types import Predictions

_TOP_CONFUSIONS = 20


def evaluate(
    predictions: Predictions, params: EvaluateParams, marks: TextMarks | None = None
) -> EvaluationReport:
    """Return all metrics of one suite, each with its n and interval.

    ``marks``: what the texts are like, where slices are cut by it. The order of the rows changes
    nothing: they are put in the order of their ids first.

    Raises
    ------
    DataError
        If the predictions are empty, altered, repeated or not finite.
    """
    table, rows = read_scored(predictions, params)
    columns = sliced_columns(table, predictions.suite, params, marks)
    slices = slice_metrics(rows, columns, params)
    lacking = not_measured(rows) if isinstance(rows, Outcomes) else ()
    return EvaluationReport(
        checkpoint_digest=predictions.checkpoint_digest,
        dataset_digest=predictions.dataset_digest,
        predictions_digest=predictions.digest,
        suite=predictions.suite,
        kind=predictions.kind,
        n=len(rows),
        metrics=metric_values(rows, params),
        **_details(rows),
        not_measured=(*lacking, *_left_out(columns, params)),
        slices=slices,
        worst_slice=worst_slice(slices),
        worst_group=worst_group_metric(rows, columns, params),
        group_means=group_means(slices),
        reliability=reliability_points(rows) if rows.has_confidence else (),
        headlines=rows.headlines,
    )


def _details(rows: Outcomes | AnsweredRows) -> dict[str, Any]:
    """Return what is said of single labels, types and tags."""
    if isinstance(rows, Outcomes):
        return {
            "classes": class_metrics(rows),
            "confusion": top_confusions(rows),
        }
    found = rows.statistics
    return {"classes": found.classes, "tags": found.tags, "confusion": found.confusion}


def _left_out(columns: Mapping[str, Any], params: EvaluateParams) -> Iterator[str]:
    for some in left_out_slices(columns, params):
        yield (
            f"{counted(some.n_values, 'value')} of {some.column}, the largest with {some.n} rows: "
            f"only the {params.max_slices} largest are slices (evaluate.max_slices)"
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
