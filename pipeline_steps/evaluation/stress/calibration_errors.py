"""Calibration errors beside the ECE: bins of equal mass, and all labels instead of the first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from pipeline_steps.evaluation.answers import AnsweredRows
from pipeline_steps.evaluation.intervals import allowing_for_unseen
from pipeline_steps.evaluation.metrics import calibration_bins, softmax
from pipeline_steps.evaluation.outcomes import Outcomes
from pipeline_steps.evaluation.stress.naming import renamed
from pipeline_steps.evaluation.uncertainty import bootstrap_weights, metric_values
from pipeline_steps.evaluation_types import MetricValue
from pipeline_steps.judging_params import EvaluateParams

Array = np.ndarray[Any, Any]
_RESAMPLES = 200  # each of them sums n x n_labels probabilities


def adaptive_ece(rows: Outcomes | AnsweredRows, params: EvaluateParams) -> MetricValue:
    """Return the calibration error over bins that hold about as many rows each.

    Equal-width bins leave most of a sure model's rows in the last one. Rows of one confidence
    share a bin, so that their order means nothing. The interval is that of the ECE.

    References
    ----------
    Nguyen and O'Connor (2015), "Posterior calibration and exploratory analysis for natural
    language processing models", EMNLP; Nixon et al. (2019), "Measuring calibration in deep
    learning", CVPR workshops.
    """
    bins = equal_mass_bins(rows.confidence, rows.n_bins)
    metric = metric_values(replace(rows, bins=bins), params, ("ece",))[0]
    return renamed(metric, "adaptive_ece")


def equal_mass_bins(confidence: Array, n_bins: int) -> Array:
    """Return the bin of each confidence, (n,) integers in [0, n_bins); equal ones share a bin.

    Examples
    --------
    >>> equal_mass_bins(np.array([0.1, 0.9, 0.8, 0.95]), 2).tolist()
    [0, 1, 0, 1]
    """
    edges = np.quantile(confidence, np.linspace(0.0, 1.0, n_bins + 1)[1:-1])
    return np.searchsorted(edges, confidence, side="left")


def classwise_ece(
    logits: Array, truth: Array, params: EvaluateParams, *, name: str = "classwise_ece"
) -> MetricValue:
    """Return the mean over labels of the binned error of that label's probability.

    The interval lays the spread of 200 resamples around the estimate, and allows for mistakes that
    no row shows. A label that is rare adds little, because it is given little probability: read it
    beside the ECE, not instead.

    Parameters
    ----------
    logits : ndarray (n, n_labels)
        The model's outputs.
    truth : ndarray (n,)
        Index of the right label; -1: none of them.
    params : EvaluateParams
        Bins, confidence, resamples and seed.
    name : str
        What the metric is called.

    References
    ----------
    Kull et al. (2019), "Beyond temperature scaling: obtaining well-calibrated multiclass
    probabilities with Dirichlet calibration", NeurIPS, equation 4.
    """
    n, width = logits.shape
    gaps = _gaps_by_label(softmax(logits), truth, params.calibration_bins)
    value = float(_mean_over_labels(np.ones((1, n)), gaps, width)[0])
    resamples = min(params.bootstrap_resamples, _RESAMPLES)
    errors = [
        _mean_over_labels(weights, gaps, width)
        for weights in bootstrap_weights(n, resamples, params.seed)
    ]
    ends = _around(value, np.concatenate(errors), params.confidence)
    right = logits.argmax(axis=1) == truth  # a row that turns moves two labels
    low, high = allowing_for_unseen(ends, value, right, params.confidence, most=2.0 / width)
    return MetricValue(
        name=name, value=value, n=n, ci_low=low, ci_high=high, greater_is_better=False
    )


def _gaps_by_label(probabilities: Array, truth: Array, n_bins: int) -> sparse.csr_matrix:
    """Return (is the label - its probability), (n, n_labels * n_bins), each in its bin's column."""
    n, width = probabilities.shape
    bins = calibration_bins(probabilities.reshape(-1), n_bins)
    columns = np.tile(np.arange(width), n) * n_bins + bins
    gaps = -probabilities
    known = np.flatnonzero(truth >= 0)
    gaps[known, truth[known]] += 1.0
    starts = np.arange(0, n * width + 1, width)
    return sparse.csr_matrix((gaps.reshape(-1), columns, starts), shape=(n, width * n_bins))


def _mean_over_labels(weights: Array, gaps: sparse.csr_matrix, width: int) -> Array:
    sums = np.abs(np.asarray((gaps.T @ weights.T).T)).sum(axis=1)
    return np.asarray(sums / (weights.sum(axis=1) * width))


def _around(value: float, resampled: Array, confidence: float) -> tuple[float, float]:
    """Return the resamples' spread around their own mean, laid around the estimate."""
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(resampled - resampled.mean(), [tail, 1.0 - tail])
    return max(0.0, value - max(float(high), 0.0)), min(1.0, value - min(float(low), 0.0))
