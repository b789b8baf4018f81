"""Labels of a model that tells no probability of each: what can be said, and what cannot."""

from __future__ import annotations

import numpy as np

from pipeline_steps.evaluation.metrics import calibration_bins
from pipeline_steps.evaluation.outcomes import Outcomes, refuse_unusable
from pipeline_steps.predictions_file import StructuredTable
from pipeline_steps.problems.problem import LabelProblem

_OF_ALL_LABELS = ("nll", "brier")
_OF_SURENESS = (*_OF_ALL_LABELS, "ece")


def label_outcomes(table: StructuredTable, n_bins: int, problem: LabelProblem) -> Outcomes:
    """Return the outcomes of labels, row by row; what needs more than they say is ``absent``.

    A score that is not a number says that the model gave none. Where one row has none, no metric
    of sureness is computed: those of the other rows would be of a chosen part.

    Raises
    ------
    DataError
        If the table is empty or holds a row twice.
    """
    unknown = np.isnan(table.score)
    confidence = np.zeros(len(table.score)) if unknown.any() else table.score
    refuse_unusable(table, confidence[:, None])
    labels = tuple(sorted({*table.labels, *table.truth.tolist(), *table.predicted.tolist()}))
    index = {label: place for place, label in enumerate(labels)}
    nothing = np.full(len(table.truth), np.nan)
    return Outcomes(
        labels=labels,
        truth=np.array([index[label] for label in table.truth], dtype=np.int64),
        predicted=np.array([index[label] for label in table.predicted], dtype=np.int64),
        nll=nothing,
        brier=nothing,
        confidence=confidence,
        bins=calibration_bins(confidence, n_bins),
        n_bins=n_bins,
        problem=problem,
        absent=_OF_SURENESS if unknown.any() else _OF_ALL_LABELS,
    )


def not_measured(rows: Outcomes) -> tuple[str, ...]:
    """Return what a report of these rows lacks, and why; nothing where it lacks nothing."""
    if not rows.absent:
        return ()
    said = ["NLL, Brier, classwise ECE: the model gave no probability of each label"]
    if not rows.has_confidence:
        said.append("ECE, adaptive ECE, risk-coverage: the model gave no score of its answer")
    return tuple(said)
