"""Risk against coverage: what is gained by leaving out what the model is least sure of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.evaluation.reading import read_scored
from pipeline_steps.evaluation.stress.selective import (
    rank,
    risk_coverage,
    selective_metrics,
    selective_sums,
)
from pipeline_steps.judging_params import EvaluateParams

PARAMS = EvaluateParams(bootstrap_resamples=200)
answers = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=40)


def sums(confidence, correct) -> dict[str, float]:
    ranking = rank(np.array(confidence, dtype=float), np.array(correct))
    found = selective_sums(ranking, np.ones((1, len(correct))))
    return {name: float(value[0]) for name, value in found.items()}


def test_four_rows_by_hand() -> None:
    """From the surest: right, wrong, right, wrong."""
    points = risk_coverage(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False]))
    assert points == ((0.25, 0.0), (0.5, 0.5), (0.75, pytest.approx(1 / 3)), (1.0, 0.5))
    found = sums([0.9, 0.8, 0.7, 0.6], [True, False, True, False])
    assert found["aurc"] == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    best = (0 + 0 + 1 / 3 + 1 / 2) / 4  # right, right, wrong, wrong
    assert found["e_aurc"] == pytest.approx(found["aurc"] - best)
    assert found["coverage_at_5_error"] == 0.25


@given(answers)
def test_a_perfect_order_has_no_excess(rows) -> None:
    correct = np.array([right for _, right in rows])
    assert sums(correct.astype(float) + 0.01 * np.arange(len(rows)), correct)[
        "e_aurc"
    ] == pytest.approx(0.0, abs=1e-12)


@given(answers, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_means_nothing(rows, random) -> None:
    shuffled = random.sample(rows, len(rows))
    assert sums(*zip(*rows, strict=True)) == pytest.approx(sums(*zip(*shuffled, strict=True)))


@given(answers)
def test_rows_of_one_confidence_count_as_their_random_order(rows) -> None:
    """The curve with ties is the mean of the curves over the orders within each tie."""
    correct = np.array([right for _, right in rows])
    tied = risk_coverage(np.full(len(rows), 0.5), correct, points=None)
    assert [risk for _, risk in tied] == pytest.approx([1 - correct.mean()] * len(rows))


@given(answers)
def test_at_full_coverage_the_risk_is_the_error(rows) -> None:
    confidence, correct = (np.array(column) for column in zip(*rows, strict=True))
    assert risk_coverage(confidence.astype(float), correct)[-1] == (
        1.0,
        pytest.approx(1 - correct.mean()),
    )


def test_all_measures_come_with_intervals_and_the_rows_they_rest_on(save) -> None:
    truth = [i % 3 for i in range(100)]
    predicted = [(t + (i < 10)) % 3 for i, t in enumerate(truth)]  # the least sure are wrong
    _, rows = read_scored(save(truth, predicted), PARAMS)
    found = {m.name: m for m in selective_metrics(rows, PARAMS)}
    assert list(found) == [
        "aurc", "e_aurc", "coverage_at_5_error", "risk_at_80_coverage", "risk_at_90_coverage",
    ]  # fmt: skip
    assert found["risk_at_90_coverage"].value == 0.0
    assert found["risk_at_90_coverage"].n == 90
    assert found["risk_at_90_coverage"].ci_high > 0.0
    assert found["e_aurc"].value == pytest.approx(0.0, abs=1e-12)
    assert found["coverage_at_5_error"].value == pytest.approx(0.94)
    assert all(m.ci_low <= m.value <= m.ci_high for m in found.values())
    assert [m.greater_is_better for m in found.values()] == [False, False, True, False, False]
