"""Every metric of many weightings of the same rows at once; a weighting is a bootstrap resample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline_steps.evaluation.metrics import expected_calibration_error, f1_from_marginals

if TYPE_CHECKING:
    from pipeline_steps.evaluation.outcomes import Outcomes

Array = np.ndarray[Any, Any]

GREATER_IS_BETTER = {
    "accuracy": True,
    "macro_f1": True,
    "micro_f1": True,
    "weighted_f1": True,
    "nll": False,
    "brier": False,
    "ece": False,
}


def weighted_metrics(rows: Outcomes, weights: Array) -> dict[str, Array]:
    """Return every metric for each row of ``weights`` (n_weightings, n), each (n_weightings,)."""
    n_labels = len(rows.labels)
    correct = rows.correct
    support = sums_within(weights, rows.truth, n_labels)
    assigned = sums_within(weights, rows.predicted, n_labels)
    hits = sums_within(weights[:, correct], rows.truth[correct], n_labels)
    total = weights.sum(axis=1)
    gaps = sums_within(weights * (correct - rows.confidence), rows.bins, rows.n_bins)
    return {
        **rows.problem.label_metrics(rows.labels, hits, support, assigned),
        **f1_from_marginals(hits, support, assigned),
        "nll": _mean(weights, rows.nll, total),
        "brier": weights @ rows.brier / total,
        "ece": expected_calibration_error(gaps, total),
    }


def sums_within(weights: Array, groups: Array, n_groups: int) -> Array:
    """Return the sum of each row of weights within each group, (n_weightings, n_groups)."""
    sums = np.zeros((len(weights), n_groups))
    present, starts = np.unique(np.sort(groups), return_index=True)
    if len(present):
        by_group = np.take(weights, np.argsort(groups, kind="stable"), axis=1)
        sums[:, present] = np.add.reduceat(by_group, starts, axis=1)
    return sums


def _mean(weights: Array, values: Array, total: Array) -> Array:
    """Return weighted means; infinite where an infinite value has weight (0 x inf is NaN)."""
    finite = np.isfinite(values)
    means = weights[:, finite] @ values[finite] / total
    return np.where(weights[:, ~finite].any(axis=1), np.inf, means)
