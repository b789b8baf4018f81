"""Temperature scaling: one number, fitted on the valid rows, that all logits are divided by."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline_steps.evaluation.intervals import two_sided_z
from pipeline_steps.evaluation.metrics import softmax
from pipeline_steps.predictions_file import PredictionTable

Array = np.ndarray[Any, Any]
_COLDEST, _HOTTEST = 0.01, 100.0
_STEPS = 80
_PRECISION = 1e-10


@dataclass(frozen=True)
class Temperature:
    """The fitted temperature with its interval; ``n`` rows were used."""

    value: float
    ci_low: float
    ci_high: float
    n: int


def fit_temperature(logits: Array, truth: Array, confidence: float) -> Temperature | None:
    """Return the temperature under which the rows are most likely, or ``None``: there is none.

    The mean negative log-likelihood of ``logits / T`` is convex in 1 / T; its root is found by
    Newton steps inside a bracket that is halved where a step would leave it. There is no finite
    temperature where every row is right by its largest logit (surer is always more likely), and
    none where the logits say nothing of the truth: where the interval would be wider than the range
    that is searched.

    Parameters
    ----------
    logits : ndarray (n, n_labels)
        Of rows that were not learnt from.
    truth : ndarray (n,)
        Index of the right label; -1 (none of them) is left out.
    confidence : float
        Coverage of the interval: that of an M-estimator, on the logarithm of T (Huber 1967).

    References
    ----------
    Guo, Pleiss, Sun and Weinberger (2017), "On calibration of modern neural networks", ICML,
    section 4.2.
    """
    known = truth >= 0
    kept, right = logits[known].astype(np.float64), truth[known]
    if not len(kept):
        return None
    inverse = _most_likely_inverse(kept, right)
    if inverse is None:
        return None
    slopes, curvature = _slopes(kept, right, inverse)
    deviation = math.sqrt(float(np.mean(slopes**2)) / len(kept)) / (curvature * inverse)
    half = two_sided_z(confidence) * deviation
    if half > math.log(_HOTTEST / _COLDEST):
        return None
    value = 1.0 / inverse
    return Temperature(value, value * math.exp(-half), value * math.exp(half), len(kept))


def scaled(table: PredictionTable, temperature: float) -> PredictionTable:
    """Return the predictions with all logits divided; no predicted label changes."""
    return replace(table, logits=table.logits.astype(np.float64) / temperature)


def truth_indices(table: PredictionTable) -> Array:
    """Return the place of each row's truth among the model's labels, (n,); -1 for none."""
    own = {label: index for index, label in enumerate(table.labels)}
    return np.array([own.get(label, -1) for label in table.truth], dtype=np.int64)


def _most_likely_inverse(logits: Array, truth: Array) -> float | None:
    """Return the 1 / T at which the slope of the likelihood is 0, or ``None`` outside the range."""
    low, high = 1.0 / _HOTTEST, 1.0 / _COLDEST
    if _slope(logits, truth, low) >= 0.0 or _slope(logits, truth, high) <= 0.0:
        return None
    inverse = 1.0
    for _ in range(_STEPS):
        slopes, curvature = _slopes(logits, truth, inverse)
        slope = float(slopes.mean())
        low, high = (inverse, high) if slope < 0.0 else (low, inverse)
        newton = inverse - slope / curvature if curvature > 0.0 else high
        following = newton if low < newton < high else math.sqrt(low * high)
        if abs(following - inverse) <= _PRECISION * inverse:
            break
        inverse = following
    return inverse


def _slope(logits: Array, truth: Array, inverse: float) -> float:
    return float(_slopes(logits, truth, inverse)[0].mean())


def _slopes(logits: Array, truth: Array, inverse: float) -> tuple[Array, float]:
    """Return each row's derivative of the loss by 1 / T, (n,), and the mean second derivative."""
    probabilities = softmax(logits * inverse)
    mean = (probabilities * logits).sum(axis=1)
    variance = (probabilities * (logits - mean[:, None]) ** 2).sum(axis=1)
    return mean - logits[np.arange(len(truth)), truth], float(variance.mean())
