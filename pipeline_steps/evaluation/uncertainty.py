"""Bootstrap intervals: rows resampled with replacement, percentile method (Efron 1979).

Resamples are drawn as multinomial row weights, and every metric is computed from weighted sums of
each resample at once: 1,000 resamples of 5,000 rows and 150 labels take a second or two.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

from pipeline_steps.evaluation.metrics import expected_calibration_error, f1_from_marginals
from pipeline_steps.evaluation.outcomes import Outcomes

Array = np.ndarray[Any, Any]
_CHUNK = 64

GREATER_IS_BETTER = {
    "accuracy": True,
    "macro_f1": True,
    "micro_f1": True,
    "weighted_f1": True,
    "nll": False,
    "brier": False,
    "ece": False,
}


def bootstrap_weights(n: int, resamples: int, seed: int) -> Iterator[Array]:
    """Yield row weights (<= 64, n) until ``resamples`` rows of weights were given.

    Each row of weights adds up to n. The same seed gives the same weights, so two models that are
    scored with them are scored on the same resampled rows.
    """
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, _CHUNK):
        size = min(_CHUNK, resamples - start)
        drawn = generator.integers(0, n, size=(size, n))
        offsets = np.arange(size)[:, None] * n
        counts = np.bincount((drawn + offsets).reshape(-1), minlength=size * n)
        yield counts.reshape(size, n).astype(np.float64)


def weighted_metrics(outcomes: Outcomes, weights: Array) -> dict[str, Array]:
    """Return every metric for each row of weights, each (n_weights,)."""
    n_labels = len(outcomes.labels)
    correct = outcomes.correct
    support = _sums(weights, outcomes.truth, n_labels)
    assigned = _sums(weights, outcomes.predicted, n_labels)
    hits = _sums(weights[:, correct], outcomes.truth[correct], n_labels)
    total = weights.sum(axis=1)
    gaps = _sums(weights * (correct - outcomes.confidence), outcomes.bins, outcomes.n_bins)
    return {
        **f1_from_marginals(hits, support, assigned),
        "nll": weights @ outcomes.nll / total,
        "brier": weights @ outcomes.brier / total,
        "ece": expected_calibration_error(gaps, total),
    }


def point_metrics(outcomes: Outcomes) -> dict[str, float]:
    """Return every metric of the rows as they are."""
    values = weighted_metrics(outcomes, np.ones((1, len(outcomes))))
    return {name: float(value[0]) for name, value in values.items()}


def bootstrap_metrics(outcomes: Outcomes, resamples: int, seed: int) -> dict[str, Array]:
    """Return every metric over the bootstrap resamples, each (resamples,)."""
    parts = [
        weighted_metrics(outcomes, weights)
        for weights in bootstrap_weights(len(outcomes), resamples, seed)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in GREATER_IS_BETTER}


def percentile_interval(values: Array, confidence: float) -> tuple[float, float]:
    """Return the central interval that holds the share ``confidence`` of the values."""
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(values, [tail, 1.0 - tail])
    return float(low), float(high)


def _sums(weights: Array, groups: Array, n_groups: int) -> Array:
    """Return the sum of each row of weights within each group, (n_weights, n_groups)."""
    members = sp.csr_array(
        (np.ones(len(groups)), (np.arange(len(groups)), groups)), shape=(len(groups), n_groups)
    )
    return np.asarray(weights @ members)
