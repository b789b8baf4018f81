"""Validation scores: what early stopping looks at."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def classification_scores(logits: Array, truth: Array) -> dict[str, float]:
    """Return loss (nats), accuracy and macro-F1 of validation logits."""
    predicted = logits.argmax(axis=1)
    hits, support, assigned = label_counts(truth, predicted, logits.shape[1])
    present = (support + assigned) > 0
    return {
        "loss": float(-log_softmax(logits)[np.arange(len(truth)), truth].mean()),
        "accuracy": float((predicted == truth).mean()),
        "macro_f1": float((2.0 * hits[present] / (support + assigned)[present]).mean()),
    }


def log_softmax(logits: Array) -> Array:
    """Return log-probabilities over the last axis."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def label_counts(truth: Array, predicted: Array, n_labels: int) -> tuple[Array, Array, Array]:
    """Return rows found, rows there are and rows assigned of each label, (n_labels,) each."""
    hits = truth[truth == predicted]
    found = [np.bincount(indices, minlength=n_labels) for indices in (hits, truth, predicted)]
    return found[0], found[1], found[2]
