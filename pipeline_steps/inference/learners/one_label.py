"""What learners have in common whose answer is one label of several, read off logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline_steps.errors import TrainingError, counted
from pipeline_steps.inference.examples_file import ExampleRows
from pipeline_steps.inference.learners.learner import ReadsRowsOnly
from pipeline_steps.inference.tokenization import Encoded
from pipeline_steps.predictions_file import PredictionTable

Array = np.ndarray[Any, Any]


class AnswersOneLabel(ReadsRowsOnly):
    """Logits (n, n_labels) as predictions and as answers."""

    def labels_of(self, rows: ExampleRows) -> tuple[str, ...]:
        """Return the labels of the training rows, sorted."""
        return two_labels_or_more(rows.labels)

    def table(
        self, outputs: Array, encoded: Encoded, rows: ExampleRows, labels: tuple[str, ...]
    ) -> PredictionTable:
        """Return logits beside labels."""
        return PredictionTable(
            example_ids=np.array(rows.example_ids, dtype=object),
            truth=np.array(rows.labels, dtype=object),
            logits=outputs,
            labels=labels,
            n_tokens=np.array(encoded.lengths, dtype=np.int32),
            columns=rows.columns(),
        )

    def answers(
        self,
        outputs: Array,
        encoded: Encoded,  # noqa: ARG002 - the protocol
        rows: ExampleRows,  # noqa: ARG002
        labels: tuple[str, ...],
    ) -> list[Mapping[str, Any]]:
        """Return label, its probability and the probability of every label, for each row."""
        return label_answers(outputs, labels)


def label_answers(logits: Array, labels: tuple[str, ...]) -> list[Mapping[str, Any]]:
    """Return label, its probability and the probability of every label, for each row of logits."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True, initial=-np.inf))
    probabilities = shifted / shifted.sum(axis=1, keepdims=True)
    return [
        {
            "label": labels[int(row.argmax())],
            "score": float(row.max()),
            "scores": dict(zip(labels, map(float, row), strict=True)),
        }
        for row in probabilities
    ]


def two_labels_or_more(of_rows: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of the training rows, sorted.

    Raises
    ------
    TrainingError
        If there is one label only.
    """
    labels = tuple(sorted(set(of_rows)))
    if len(labels) < 2:  # noqa: PLR2004 - a classifier needs two
        raise TrainingError(
            f"the training rows have {counted(len(labels), 'label')}: {', '.join(labels)}",
            expected="at least two different labels",
            fix="look at ingest.columns.label in params.yaml and at the raw file",
        )
    return labels


def label_indices(labels: Sequence[str], names: Sequence[str]) -> list[int]:
    """Return the index of each label in ``names``.

    Raises
    ------
    TrainingError
        If a label is not among ``names``, which are those of the training rows.
    """
    index = {name: position for position, name in enumerate(names)}
    unknown = sorted(set(labels) - index.keys())
    if unknown:
        raise TrainingError(
            f"labels that no training row has: {', '.join(unknown[:10])}",
            expected=f"the {len(names)} labels of the training rows",
            fix="add training rows with these labels or remove the rows, then: holdfast prepare",
        )
    return [index[label] for label in labels]
