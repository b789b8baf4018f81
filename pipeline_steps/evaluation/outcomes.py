"""Predictions as the numbers that metrics are made of: one row of outcomes for each example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.metrics import (
    brier_scores,
    calibration_bins,
    negative_log_likelihood,
    softmax,
)
from pipeline_steps.evaluation.weighted_metrics import GREATER_IS_BETTER, weighted_metrics
from pipeline_steps.predictions_file import AnyTable, PredictionTable
from pipeline_steps.problem_defaults import HEADLINES
from pipeline_steps.problems.problem import LabelProblem
from pipeline_steps.problems.text_classification import TextClassification

Array = np.ndarray[Any, Any]
_CLASSIFICATION = TextClassification()
Table = TypeVar("Table", bound=AnyTable)


@dataclass(frozen=True)
class Outcomes:
    """What a checkpoint did with each of n rows; ``labels`` covers truth and prediction.

    ``absent`` names metrics that cannot be computed, because the model says too little.
    """

    labels: tuple[str, ...]
    truth: Array  # (n,) index into labels
    predicted: Array  # (n,) index into labels
    nll: Array  # (n,) nats
    brier: Array  # (n,)
    confidence: Array  # (n,) probability of the predicted label
    bins: Array  # (n,) equal-width calibration bin
    n_bins: int
    problem: LabelProblem = _CLASSIFICATION
    absent: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def correct(self) -> Array:
        """Whether each row was right, (n,) bool."""
        return np.asarray(self.truth == self.predicted)

    @property
    def directions(self) -> Mapping[str, bool]:
        """Metric -> whether greater is better."""
        none = np.zeros(len(self.labels))
        own = self.problem.label_metrics(self.labels, none, none, none)
        every = {**dict.fromkeys(own, True), **GREATER_IS_BETTER}
        return {name: better for name, better in every.items() if name not in self.absent}

    @property
    def has_confidence(self) -> bool:
        """Whether the model says how sure it is."""
        return "ece" not in self.absent

    @property
    def headlines(self) -> tuple[str, ...]:
        """The metrics that are shown first."""
        return HEADLINES[self.problem.name]

    @property
    def shares(self) -> tuple[str, ...]:
        """Metrics that are a share of rows: their intervals are computed, not resampled."""
        return ("accuracy", "micro_f1")

    @property
    def averages(self) -> tuple[str, ...]:
        """Metrics that are as uncertain as accuracy where every row is right, or none."""
        return ("macro_f1", "weighted_f1", "relation_f1")

    def take(self, rows: Array) -> Outcomes:
        """Return the outcomes of some rows (indices or mask)."""
        return replace(self, **{name: getattr(self, name)[rows] for name in _BY_ROW})

    def weighted(self, weights: Array) -> dict[str, Array]:
        """Return every metric for each row of ``weights`` (n_weightings, n)."""
        return weighted_metrics(self, weights)

    def followed_by(self, others: Outcomes) -> Outcomes:
        """Return these rows and, behind them, those of another model, labels numbered alike."""
        labels = tuple(sorted({*self.labels, *others.labels}))
        index = {label: position for position, label in enumerate(labels)}
        parts = [rows.numbered(index) for rows in (self, others)]
        stacked: dict[str, Any] = {
            name: np.concatenate([getattr(p, name) for p in parts]) for name in _BY_ROW
        }
        return replace(self, labels=labels, **stacked)

    def answers_like(self, others: Outcomes) -> bool:
        """Return whether another model predicted the same label for every row."""
        ours, theirs = (np.array(rows.labels, dtype=object) for rows in (self, others))
        return np.array_equal(ours[self.predicted], theirs[others.predicted])

    def numbered(self, index: Mapping[str, int]) -> Outcomes:
        """Return the same rows with labels counted as in ``index``."""
        positions = np.array([index[label] for label in self.labels], dtype=np.int64)
        return replace(self, truth=positions[self.truth], predicted=positions[self.predicted])


_BY_ROW = ("truth", "predicted", "nll", "brier", "confidence", "bins")


def in_id_order(table: Table) -> Table:
    """Return the table sorted by example id, so that no result depends on the order of rows."""
    order = np.argsort(table.example_ids.astype(str), kind="stable")
    arrays: dict[str, Any] = {
        name: values[order]
        for name, values in vars(table).items()
        if isinstance(values, np.ndarray)
    }
    columns = {name: values[order] for name, values in table.columns.items()}
    return replace(table, **arrays, columns=columns)


def outcomes(
    table: PredictionTable, n_bins: int, problem: LabelProblem = _CLASSIFICATION
) -> Outcomes:
    """Return the outcomes of a prediction table, row by row.

    Raises
    ------
    DataError
        If the table is empty, holds a row twice or a logit that is not finite: no metric would
        mean anything.
    """
    refuse_unusable(table, table.logits)
    probabilities = softmax(table.logits)
    own = {label: index for index, label in enumerate(table.labels)}
    labels = (*table.labels, *sorted(set(table.truth.tolist()) - own.keys()))
    index = {label: position for position, label in enumerate(labels)}
    truth = np.array([index[label] for label in table.truth], dtype=np.int64)
    predicted = table.logits.argmax(axis=1).astype(np.int64)
    known = np.where(truth < len(own), truth, -1)
    confidence = probabilities.max(axis=1)
    return Outcomes(
        labels,
        truth,
        predicted,
        negative_log_likelihood(table.logits, known),
        brier_scores(probabilities, known),
        confidence,
        calibration_bins(confidence, n_bins),
        n_bins,
        problem,
    )


def refuse_unusable(table: AnyTable, outputs: Array) -> None:
    """Refuse an empty table, a row that stands twice, an output (n, ...) that is not finite.

    Raises
    ------
    DataError
        Because no metric would mean anything.
    """
    if not len(table.truth):
        raise DataError(
            "predictions of 0 rows",
            expected="at least one row: a metric over no rows is undefined",
            fix="look at data/splits/report.json for where the rows went",
        )
    repeated = len(table.example_ids) - len(set(table.example_ids.tolist()))
    if repeated:
        raise DataError(
            f"{repeated} of {len(table.truth)} predictions repeat an example_id",
            expected="one prediction of each example",
            fix="remove the predictions file and run the command again; it is predicted anew",
        )
    broken = int((~np.isfinite(outputs)).any(axis=1).sum())
    if broken:
        raise DataError(
            f"{broken} of {len(table.truth)} rows have outputs that are not finite",
            expected="finite logits or scores",
            fix="train again with a lower finetune.learning_rate",
        )
