"""Our metrics are scikit-learn's, on any labels that hypothesis finds."""

from __future__ import annotations

import warnings

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from pipeline_steps.evaluation import metrics
from pipeline_steps.evaluation.calibration import reliability_points
from pipeline_steps.evaluation.metrics import class_scores, confusion_counts
from pipeline_steps.evaluation.outcomes import Outcomes
from pipeline_steps.evaluation.scored import point_metrics

N_LABELS = 5
labels = st.integers(0, N_LABELS - 1)
pairs = st.lists(st.tuples(labels, labels), min_size=1, max_size=60)
logit_rows = hnp.arrays(
    np.float32, (20, N_LABELS), elements=st.floats(-8, 8, width=32, allow_subnormal=False)
)


def make_outcomes(truth: np.ndarray, predicted: np.ndarray) -> Outcomes:
    n = len(truth)
    return Outcomes(
        tuple("abcde"), truth, predicted, np.zeros(n), np.zeros(n), np.full(n, 0.5),
        np.zeros(n, dtype=int), 10,
    )  # fmt: skip


@given(pairs)
def test_f1_averages_and_accuracy(rows) -> None:
    truth, predicted = np.array(rows).T
    ours = point_metrics(make_outcomes(truth, predicted))
    assert np.isclose(ours["accuracy"], reference.accuracy_score(truth, predicted))
    for average in ("macro", "micro", "weighted"):
        theirs = reference.f1_score(truth, predicted, average=average, zero_division=0)
        assert np.isclose(ours[f"{average}_f1"], theirs)


@given(pairs)
def test_precision_recall_f1_and_support_of_each_label(rows) -> None:
    truth, predicted = np.array(rows).T
    ours = class_scores(confusion_counts(truth, predicted, N_LABELS))
    theirs = reference.precision_recall_fscore_support(
        truth, predicted, labels=range(N_LABELS), zero_division=0
    )
    for a, b in zip(ours, theirs, strict=True):
        assert np.allclose(a, b)


@given(logit_rows, st.lists(labels, min_size=20, max_size=20))
def test_negative_log_likelihood_and_brier_score(logits, truth) -> None:
    probabilities = metrics.softmax(logits)
    truth = np.array(truth)
    nll = metrics.negative_log_likelihood(logits, truth).mean()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = reference.log_loss(truth, probabilities, labels=range(N_LABELS))
    assert np.isclose(nll, theirs, rtol=1e-4)
    brier = metrics.brier_scores(probabilities, truth).mean()
    theirs = reference.brier_score_loss(
        truth, probabilities, labels=range(N_LABELS), scale_by_half=False
    )
    assert np.isclose(brier, theirs)


@given(
    hnp.arrays(np.float64, 40, elements=st.floats(0.2, 1.0)),
    hnp.arrays(np.bool_, 40),
    st.integers(2, 20),
)
def test_reliability_points_are_those_of_the_calibration_curve(confidence, right, n_bins) -> None:
    """The bins are scikit-learn's, closed on the right; the error is their weighted mean gap."""
    zeros = np.zeros(40)
    rows = Outcomes(
        ("a", "b"), zeros.astype(int), np.where(right, 0, 1), zeros, zeros, confidence,
        metrics.calibration_bins(confidence, n_bins), n_bins,
    )  # fmt: skip
    points = np.array(reliability_points(rows))
    accuracy, mean_confidence = calibration_curve(right, confidence, n_bins=n_bins)
    assert np.allclose(points[:, 0], mean_confidence)
    assert np.allclose(points[:, 1], accuracy)
    gaps = np.abs(points[:, 0] - points[:, 1])
    assert np.isclose(point_metrics(rows)["ece"], np.average(gaps, weights=points[:, 2]))


def test_calibration_error_of_a_case_computed_by_hand() -> None:
    # Two bins of ten: confidences 0.95 and 0.95 (one right), 0.55 (right).
    rows = Outcomes(
        ("a", "b"), np.array([0, 0, 0]), np.array([0, 1, 0]), np.zeros(3), np.zeros(3),
        np.array([0.95, 0.95, 0.55]), metrics.calibration_bins(np.array([0.95, 0.95, 0.55]), 10), 10,
    )  # fmt: skip
    expected = (2 * abs(0.5 - 0.95) + 1 * abs(1.0 - 0.55)) / 3
    assert np.isclose(point_metrics(rows)["ece"], expected)
