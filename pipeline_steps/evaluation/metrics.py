"""Classification metrics as pure functions of label indices and probabilities.

Precision, recall and F1 are those of the field's usual report: over the union of the labels that
occur in truth or prediction, a ratio 0/0 counts as 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def confusion_counts(truth: Array, predicted: Array, n_labels: int) -> Array:
    """Return counts (n_labels, n_labels): rows are the truth, columns the prediction."""
    flat = np.bincount(truth * n_labels + predicted, minlength=n_labels * n_labels)
    return flat.reshape(n_labels, n_labels)


def class_scores(counts: Array) -> tuple[Array, Array, Array, Array]:
    """Return precision, recall, F1 and support of each label, each (..., n_labels).

    ``counts`` is (..., n_labels, n_labels); leading axes are bootstrap resamples.
    """
    hits = np.diagonal(counts, axis1=-2, axis2=-1).astype(float)
    support = counts.sum(axis=-1)
    assigned = counts.sum(axis=-2)
    precision = _ratio(hits, assigned)
    recall = _ratio(hits, support)
    f1 = _ratio(2 * hits, support + assigned)
    return precision, recall, f1, support


def f1_from_marginals(hits: Array, support: Array, assigned: Array) -> dict[str, Array]:
    """Return accuracy, macro-, micro- and weighted F1 from counts of each label (..., n_labels).

    Micro-F1 equals accuracy where each row has one label; it is listed because reports ask for it.
    """
    f1 = _ratio(2.0 * hits, support + assigned)
    present = (support + assigned) > 0
    total = support.sum(axis=-1)
    accuracy = _ratio(hits.sum(axis=-1), total)
    return {
        "accuracy": accuracy,
        "macro_f1": _ratio((f1 * present).sum(axis=-1), present.sum(axis=-1)),
        "micro_f1": accuracy,
        "weighted_f1": _ratio((f1 * support).sum(axis=-1), total),
    }


def softmax(logits: Array) -> Array:
    """Return probabilities (n, n_labels) in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def negative_log_likelihood(logits: Array, truth: Array) -> Array:
    """Return -log p(truth) of each row in nats, (n,); a truth outside the labels (-1) is infinite.

    It is taken from the logits: a probability that underflows to 0 still has a finite logarithm.
    """
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    chosen = shifted[np.arange(len(truth)), truth]
    losses = np.log(np.exp(shifted).sum(axis=1)) - chosen
    return np.where(truth >= 0, losses, np.inf)


def brier_scores(probabilities: Array, truth: Array) -> Array:
    """Return the squared distance of each row's probabilities from its one-hot truth (Brier 1950).

    It lies in [0, 2].
    """
    one_hot = np.zeros_like(probabilities)
    known = truth >= 0
    one_hot[known, truth[known]] = 1.0
    return np.asarray(((probabilities - one_hot) ** 2).sum(axis=1) + (~known))


def calibration_bins(confidence: Array, n_bins: int) -> Array:
    """Return the equal-width bin of each confidence, (n,) integers in [0, n_bins).

    Bin m holds the confidences in (m / n_bins, (m + 1) / n_bins], as in Guo et al. 2017.
    """
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    return np.searchsorted(edges[1:-1], confidence)


def expected_calibration_error(gaps: Array, weights: Array) -> Array:
    """Return the mean absolute gap between confidence and accuracy over bins, weighted by rows.

    This is equation 3 of Guo et al. (2017), "On calibration of modern neural networks", over
    equal-width bins of the confidence in the predicted label.

    Parameters
    ----------
    gaps : ndarray (..., n_bins)
        Sum of (correct - confidence) in each bin.
    weights : ndarray (...,)
        Number of rows over all bins.
    """
    return _ratio(np.abs(gaps).sum(axis=-1), weights)


def _ratio(numerator: Array, denominator: Array) -> Array:
    """Return numerator / denominator, and 0 where the denominator is 0."""
    numerator = np.asarray(numerator, dtype=float)
    denominator = np.asarray(denominator, dtype=float)
    zeros = np.zeros(np.broadcast_shapes(numerator.shape, denominator.shape))
    return np.asarray(np.divide(numerator, denominator, out=zeros, where=denominator != 0))
