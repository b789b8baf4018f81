"""How well a score tells rows in scope from rows out of scope: AUROC, AUPR, FPR at 95 % TPR."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.special import logsumexp

from pipeline_steps.evaluation.intervals import bias_corrected_interval, wilson_interval
from pipeline_steps.evaluation.metrics import softmax
from pipeline_steps.evaluation.uncertainty import bootstrap_weights
from pipeline_steps.evaluation_types import MetricValue
from pipeline_steps.judging_params import EvaluateParams

Array = np.ndarray[Any, Any]
_ACCEPTED = 0.95
_OTHER_STREAM = 10_007
_ROUNDING = 1e-12


def _negative_entropy(logits: Array) -> Array:
    logs = logits.astype(np.float64) - logsumexp(logits.astype(np.float64), axis=1, keepdims=True)
    return np.asarray((np.exp(logs) * logs).sum(axis=1))


SCORES: Mapping[str, Callable[[Array], Array]] = {
    "max_softmax": lambda logits: softmax(logits).max(axis=1),
    "max_logit": lambda logits: logits.max(axis=1).astype(np.float64),
    "energy": lambda logits: np.asarray(logsumexp(logits.astype(np.float64), axis=1)),
    "entropy": _negative_entropy,
}
"""Score -> function of logits (n, n_labels), higher where the row looks more in scope, (n,).

``max_softmax``: Hendrycks and Gimpel (2017), "A baseline for detecting misclassified and
out-of-distribution examples in neural networks", ICLR. ``energy``: minus the free energy of Liu et
al. (2020), "Energy-based out-of-distribution detection", NeurIPS. ``max_logit``: Hendrycks et al.
(2022), "Scaling out-of-distribution detection for real-world settings", ICML. ``entropy``: minus
the entropy of the probabilities.
"""
_BETTER = {"auroc": True, "aupr_out": True, "fpr95": False}


def detection_metrics(
    inside: Array, outside: Array, params: EvaluateParams
) -> tuple[MetricValue, ...]:
    """Return AUROC, AUPR and FPR at 95 % TPR of each of the four scores, with intervals.

    ``auroc_*`` is the chance that a row in scope scores higher than one out of scope (equal
    scores count half). ``aupr_out_*`` is the average precision of finding the rows out of scope;
    it depends on their share, unlike the others. ``fpr95_*`` is the share of rows out of scope
    that are accepted by the highest threshold that accepts 95 % of those in scope. Both kinds of
    rows are resampled on their own; n is the number of rows out of scope.

    Parameters
    ----------
    inside, outside : ndarray (n, n_labels), (m, n_labels)
        Logits of rows in scope, and of rows whose right answer is none of the labels.
    params : EvaluateParams
        Confidence, resamples and seed.
    """
    metrics = []
    for name, score in SCORES.items():
        points, resampled = _measures(score(inside), score(outside), params)
        for measure, value in points.items():
            found = resampled[measure]
            low, high = bias_corrected_interval(value, found, params.confidence)
            if np.ptp(found) <= _ROUNDING:
                low, high = limits(measure, value, (len(inside), len(outside)), params.confidence)
            metrics.append(
                MetricValue(
                    name=f"{measure}_{name}",
                    value=value,
                    n=len(outside),
                    ci_low=min(low, value),
                    ci_high=max(high, value),
                    greater_is_better=_BETTER[measure],
                )
            )
    return tuple(metrics)


def limits(
    measure: str, value: float, n: tuple[int, int], confidence: float
) -> tuple[float, float]:
    """Return between what a measure lies that comes out the same in every resample.

    Pairs of a row in scope and one out of scope that share no row are independent, and as many of
    them as there are rows of the rarer kind were all judged alike: the AUROC lies in Wilson's
    interval over these. The average precision is then at least that where the remaining share of
    the rows in scope scores below all rows out of scope. The rows let in are a share of their own.

    Parameters
    ----------
    measure : str
        ``auroc``, ``aupr_out`` or ``fpr95``.
    value : float
        What all resamples say.
    n : tuple of int
        Rows in scope, and out of scope.
    confidence : float
        Coverage, two-sided.
    """
    inside, outside = n
    pairs = min(n)
    if measure == "fpr95":
        return wilson_interval(value * outside, outside, confidence)
    if measure == "auroc" or value < 1.0:
        return wilson_interval(value * pairs, pairs, confidence)
    odds = (1.0 - wilson_interval(pairs, pairs, confidence)[0]) * inside / outside
    return 1.0 - odds * math.log1p(1.0 / odds), 1.0


def separation(inside: Array, outside: Array, weights: tuple[Array, Array]) -> dict[str, Array]:
    """Return AUROC, AUPR and FPR at 95 % TPR of scores under each pair of weightings.

    Parameters
    ----------
    inside, outside : ndarray (n,), (m,)
        Scores, higher for more in scope.
    weights : tuple of ndarray (n_weightings, n), (n_weightings, m)
        How often each row counts.
    """
    values = np.unique(np.concatenate([inside, outside]))
    accepted, foreign = (
        _sums_by_value(scores, weighting, values)
        for scores, weighting in ((inside, weights[0]), (outside, weights[1]))
    )
    below = np.cumsum(foreign, axis=1) - foreign
    n, m = accepted.sum(axis=1), foreign.sum(axis=1)
    return {
        "auroc": (accepted * (below + foreign / 2.0)).sum(axis=1) / (n * m),
        "aupr_out": _average_precision(foreign, accepted, m),
        "fpr95": _accepted_beside(accepted, foreign, n, m),
    }


def _measures(
    inside: Array, outside: Array, params: EvaluateParams
) -> tuple[dict[str, float], dict[str, Array]]:
    """Return the three measures as they are, and over resamples of both kinds of rows."""
    ones = np.ones((1, len(inside))), np.ones((1, len(outside)))
    points = {name: float(v[0]) for name, v in separation(inside, outside, ones).items()}
    resamples, seed = params.bootstrap_resamples, params.seed
    both = zip(
        bootstrap_weights(len(inside), resamples, seed),
        bootstrap_weights(len(outside), resamples, seed + _OTHER_STREAM),
        strict=True,
    )
    parts = [separation(inside, outside, weights) for weights in both]
    return points, {name: np.concatenate([part[name] for part in parts]) for name in points}


def _sums_by_value(scores: Array, weights: Array, values: Array) -> Array:
    """Return the weight at each of the sorted values, (n_weightings, n_values)."""
    sums = np.zeros((len(weights), len(values)))
    order = np.argsort(scores, kind="stable")
    present, starts = np.unique(np.searchsorted(values, scores[order]), return_index=True)
    sums[:, present] = np.add.reduceat(weights[:, order], starts, axis=1)
    return sums


def _average_precision(foreign: Array, accepted: Array, m: Array) -> Array:
    """Return the mean precision at each row out of scope, found from the lowest score upwards."""
    found = np.cumsum(foreign, axis=1)
    raised = found + np.cumsum(accepted, axis=1)
    precision = np.divide(found, raised, out=np.zeros_like(found), where=raised > 0)
    return np.asarray((foreign * precision).sum(axis=1) / m)


def _accepted_beside(accepted: Array, foreign: Array, n: Array, m: Array) -> Array:
    """Return the share out of scope at or above the threshold that accepts 95 % in scope."""
    from_above = np.cumsum(accepted[:, ::-1], axis=1)
    enough = from_above >= _ACCEPTED * n[:, None] - 1e-9
    place = enough.argmax(axis=1)
    let_in = np.cumsum(foreign[:, ::-1], axis=1)
    return np.asarray(let_in[np.arange(len(place)), place] / m)
