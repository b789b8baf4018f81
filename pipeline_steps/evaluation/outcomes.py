"""Predictions as the numbers that metrics are made of: one row of outcomes for each example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.metrics import (
    brier_scores,
    calibration_bins,
    negative_log_likelihood,
    softmax,
)
from pipeline_steps.predictions_file import PredictionTable

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Outcomes:
    """What a checkpoint did with each of n rows; ``labels`` covers truth and prediction."""

    labels: tuple[str, ...]
    truth: Array  # (n,) index into labels
    predicted: Array  # (n,) index into labels
    nll: Array  # (n,) nats
    brier: Array  # (n,)
    confidence: Array  # (n,) probability of the predicted label
    bins: Array  # (n,) equal-width calibration bin
    n_bins: int

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def correct(self) -> Array:
        """Whether each row was right, (n,) bool."""
        return np.asarray(self.truth == self.predicted)

    def take(self, rows: Array) -> Outcomes:
        """Return the outcomes of some rows (indices or mask)."""
        return Outcomes(
            self.labels,
            self.truth[rows],
            self.predicted[rows],
            self.nll[rows],
            self.brier[rows],
            self.confidence[rows],
            self.bins[rows],
            self.n_bins,
        )


def in_id_order(table: PredictionTable) -> PredictionTable:
    """Return the table sorted by example id, so that no result depends on the order of rows."""
    order = np.argsort(table.example_ids.astype(str), kind="stable")
    return PredictionTable(
        example_ids=table.example_ids[order],
        truth=table.truth[order],
        logits=table.logits[order],
        labels=table.labels,
        n_tokens=table.n_tokens[order],
        columns={name: values[order] for name, values in table.columns.items()},
    )


def outcomes(table: PredictionTable, n_bins: int) -> Outcomes:
    """Return the outcomes of a prediction table, row by row.

    Raises
    ------
    DataError
        If the table is empty, holds a row twice or a logit that is not finite: no metric would
        mean anything.
    """
    _refuse_unusable(table)
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
    )


def _refuse_unusable(table: PredictionTable) -> None:
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
    broken = int((~np.isfinite(table.logits)).any(axis=1).sum())
    if broken:
        raise DataError(
            f"{broken} of {len(table.truth)} rows have logits that are not finite",
            expected="finite logits",
            fix="train again with a lower finetune.learning_rate",
        )
