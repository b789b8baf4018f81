"""Multi-label classification: the whole text's state, a yes or no for each label.

The loss of a row is the sum over labels of the binary cross-entropy, so it is the surprise (nats)
at the whole set of labels, were they independent. A label is answered whose probability is above
one half.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.examples_file import ExampleRows
from pipeline_steps.inference.learners.losses import (
    Criterion,
    cross_entropy_sum,
    divergence_sum,
)
from pipeline_steps.inference.learners.texts import Array, WholeTexts
from pipeline_steps.inference.tokenization import Encoded
from pipeline_steps.predictions_file import StructuredTable
from pipeline_steps.problems.multi_label_classification import label_f1, labels_of


@dataclass(frozen=True)
class MultiLabelLearner(WholeTexts):
    """A sequence classifier of transformers with an output of its own for each label.

    Its loss is the logistic one: other criteria are about one class of several.
    """

    criterion: Criterion = cross_entropy_sum

    def labels_of(self, rows: ExampleRows) -> tuple[str, ...]:
        """Return the labels of the training rows, sorted."""
        found = {label for target in rows.targets for label in labels_of(target)}
        if not found:
            raise TrainingError(
                "no training row has a label",
                expected="at least one label among the training rows",
                fix="look at ingest.columns.labels in params.yaml and at the raw file",
            )
        return tuple(sorted(found))

    def targets(
        self,
        encoded: Encoded,  # noqa: ARG002 - one window a row
        rows: ExampleRows,
        labels: Sequence[str],
    ) -> list[list[float]]:
        """Return of each row and label whether it is there: 1 or 0.

        A label that no training row has (a new one in the validation rows) has no output.
        """
        found = [set(labels_of(target)) for target in rows.targets]
        return [[float(label in of_row) for label in labels] for of_row in found]

    def classes(self, targets: Sequence[list[float]]) -> list[int]:  # noqa: ARG002 - the protocol
        """Return nothing: a label is there or not."""
        return []

    def as_tensor(self, targets: Sequence[list[float]]) -> torch.Tensor:
        """Return 1 for labels that are there and 0 for others, (n, n_labels)."""
        return torch.tensor(targets, dtype=torch.float32)

    def n_items(self, labels: torch.Tensor) -> int:
        """Return the number of rows."""
        return len(labels)

    def loss(self, outputs: Any, labels: torch.Tensor, n_items: int) -> torch.Tensor:
        """Return the logistic loss, a sum over rows and labels."""
        total = torch.nn.functional.binary_cross_entropy_with_logits(
            outputs.logits.float(), labels, reduction="sum"
        )
        return total / n_items

    def divergence(
        self,
        outputs: Any,
        target: Any,
        labels: torch.Tensor,  # noqa: ARG002 - every row counts
        n_items: int,
    ) -> torch.Tensor:
        """Return KL(target || outputs) of there against not, a sum over rows and labels."""
        ours, theirs = (
            torch.nn.functional.pad(o.logits.float()[..., None], (1, 0)) for o in (outputs, target)
        )
        return divergence_sum(ours, theirs) / n_items

    def validation_scores(
        self,
        outputs: Array,
        encoded: Encoded,  # noqa: ARG002
        targets: Sequence[list[float]],
        rows: ExampleRows,
        labels: Sequence[str],
    ) -> dict[str, float]:
        """Return loss (nats a row), micro and macro F1."""
        values = outputs.astype(np.float64)
        losses = np.logaddexp(0.0, np.where(np.array(targets) > 0, -values, values))
        truth = [set(labels_of(target)) for target in rows.targets]
        found = [set(some) for some in _answered(outputs, labels)]
        return {
            "loss": float(losses.sum(axis=1).mean()),
            **label_f1(list(zip(truth, found, strict=True))),
        }

    def table(
        self, outputs: Array, encoded: Encoded, rows: ExampleRows, labels: tuple[str, ...]
    ) -> StructuredTable:
        """Return true and answered labels as JSON lists."""
        return StructuredTable(
            example_ids=np.array(rows.example_ids, dtype=object),
            truth=_as_json([labels_of(target) for target in rows.targets]),
            predicted=_as_json(_answered(outputs, labels)),
            score=_confidence(outputs),
            labels=labels,
            n_tokens=np.array(encoded.lengths, dtype=np.int32),
            columns=rows.columns(),
        )

    def answers(
        self,
        outputs: Array,
        encoded: Encoded,  # noqa: ARG002
        rows: ExampleRows,  # noqa: ARG002
        labels: tuple[str, ...],
    ) -> list[Mapping[str, Any]]:
        """Return labels, confidence in the whole, and the probability of every label, by row."""
        probabilities = np.exp(-np.logaddexp(0.0, -outputs.astype(np.float64)))
        rows_of = zip(_answered(outputs, labels), _confidence(outputs), probabilities, strict=True)
        return [
            {
                "labels": found,
                "score": float(score),
                "scores": dict(zip(labels, map(float, each), strict=True)),
            }
            for found, score, each in rows_of
        ]


def _answered(logits: Array, labels: Sequence[str]) -> list[list[str]]:
    """Return for each row the labels whose probability is above one half."""
    return [[labels[int(place)] for place in np.flatnonzero(row > 0)] for row in logits]


def _confidence(logits: Array) -> Array:
    """Return the probability that a row's answer is right as a whole, were labels independent."""
    return np.asarray(
        np.exp(-np.logaddexp(0.0, -np.abs(logits.astype(np.float64))).sum(axis=1)), dtype=float
    )


def _as_json(content: Sequence[Sequence[str]]) -> Array:
    return np.array([json.dumps(item, ensure_ascii=False) for item in content], dtype=object)
