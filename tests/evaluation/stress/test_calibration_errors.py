"""Calibration errors over bins of equal mass, and over all labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline_steps.evaluation.metrics import softmax
from pipeline_steps.evaluation.reading import read_scored
from pipeline_steps.evaluation.stress.calibration_errors import (
    adaptive_ece,
    classwise_ece,
    equal_mass_bins,
)
from pipeline_steps.judging_params import EvaluateParams

PARAMS = EvaluateParams(bootstrap_resamples=100, calibration_bins=5)


def by_the_book(logits: np.ndarray, truth: np.ndarray, n_bins: int) -> float:
    """Return equation 4 of Kull et al. (2019), one label and one bin after the other."""
    probabilities, total = softmax(logits), 0.0
    for label in range(logits.shape[1]):
        p, hit = probabilities[:, label], truth == label
        for b in range(n_bins):
            inside = (p > b / n_bins) & (p <= (b + 1) / n_bins)
            if inside.any():
                total += inside.mean() * abs(hit[inside].mean() - p[inside].mean())
    return total / logits.shape[1]


@given(
    hnp.arrays(np.float64, (12, 3), elements=st.floats(-4, 4)),
    st.lists(st.integers(-1, 2), min_size=12, max_size=12),
)
def test_the_classwise_error_is_that_of_the_book(logits, truth) -> None:
    metric = classwise_ece(logits, np.array(truth), PARAMS)
    assert metric.value == pytest.approx(by_the_book(logits, np.array(truth), 5), abs=1e-12)
    assert metric.ci_low <= metric.value <= metric.ci_high


@given(st.lists(st.floats(0, 1), min_size=1, max_size=80), st.integers(1, 8))
def test_equal_confidences_share_a_bin_and_the_order_of_bins_is_that_of_confidence(
    values, n_bins
) -> None:
    confidence = np.array(values)
    bins = equal_mass_bins(confidence, n_bins)
    assert ((bins >= 0) & (bins < n_bins)).all()
    order = np.argsort(confidence, kind="stable")
    assert (np.diff(bins[order]) >= 0).all()
    assert all(len(set(bins[confidence == c])) == 1 for c in confidence)


def test_bins_of_equal_mass_hold_as_many_rows_each() -> None:
    confidence = np.random.default_rng(0).beta(20, 1, 1_000)
    counts = np.bincount(equal_mass_bins(confidence, 10))
    assert counts.min() >= 99
    assert counts.max() <= 101


def test_the_adaptive_error_of_one_bin_is_the_gap_between_accuracy_and_confidence(save) -> None:
    params = PARAMS.model_copy(update={"calibration_bins": 1})
    _, rows = read_scored(save([0, 1, 2, 0], [0, 1, 2, 2]), params)
    metric = adaptive_ece(rows, params)
    assert metric.name == "adaptive_ece"
    assert metric.value == pytest.approx(0.75 - rows.confidence.mean())
