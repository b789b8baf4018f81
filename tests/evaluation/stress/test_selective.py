"""Risk against coverage: what is gained by leaving out what the model is least sure of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.evaluation.intervals import wilson_interval
from pipeline_steps.evaluation.reading import read_scored
from pipeline_steps.evaluation.stress.selective import (
    limits,
    rank,
    risk_coverage,
    selective_metrics,
    selective_sums,
)
from pipeline_steps.judging_params import EvaluateParams

PARAMS = EvaluateParams(bootstrap_resamples=200)


@dataclass(frozen=True)
class Answered:
    """How sure a model was of each row, and whether it was right."""

    confidence: Any
    correct: Any

    def __len__(self) -> int:
        return len(self.correct)


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


@pytest.mark.parametrize(("wrong", "error"), [(False, 0.0), (True, 1.0)])
def test_without_a_mistake_or_with_nothing_else_the_intervals_have_a_width(
    save, wrong, error
) -> None:
    truth = [i % 3 for i in range(40)]
    _, rows = read_scored(save(truth, [(t + wrong) % 3 for t in truth]), PARAMS)
    found = {m.name: m for m in selective_metrics(rows, PARAMS)}
    least, most = wilson_interval(40 * error, 40, PARAMS.confidence)
    assert found["aurc"].value == error
    if wrong:
        assert 0.5 < found["aurc"].ci_low < least
        assert found["coverage_at_5_error"].ci_high == pytest.approx((1 - least) / 0.95)
    else:
        assert found["aurc"].ci_high == most
        assert found["coverage_at_5_error"].ci_low == 0.0  # 40 rows do not show 5 % at most
    assert 0.0 == found["e_aurc"].value < found["e_aurc"].ci_high


def test_a_perfect_order_of_few_mistakes_is_not_taken_for_certain(save) -> None:
    truth = [i % 3 for i in range(50)]
    predicted = [(t + (i < 1)) % 3 for i, t in enumerate(truth)]  # the least sure is wrong
    _, rows = read_scored(save(truth, predicted), PARAMS)
    excess = next(m for m in selective_metrics(rows, PARAMS) if m.name == "e_aurc")
    assert excess.value == pytest.approx(0.0, abs=1e-12)
    assert excess.ci_high == pytest.approx(limits("e_aurc", 1, 50, PARAMS.confidence)[1])
    assert excess.ci_high > 0.02


@given(st.floats(0.0, 1.0), st.booleans())
def test_the_limits_hold_whatever_lies_between_a_perfect_and_a_random_order(p, perfect) -> None:
    """Of 2,000 rows, so many of which are wrong, with the limits for exactly this share."""
    wrong = round(p * 2_000)
    correct = np.arange(2_000) >= wrong
    found = sums(correct if perfect else np.zeros(2_000), correct)
    for name, value in found.items():
        low, high = limits(name, wrong, 2_000, 0.95)
        assert low - 1e-3 <= value <= high + 1e-3, name


def test_the_intervals_hold_the_truth_where_most_draws_have_hardly_a_mistake() -> None:
    generator, n, share = np.random.default_rng(0), 60, 0.02

    def scores(size):
        wrong = generator.random(size) < share
        return 1 / (1 + np.exp(-generator.normal(size=size) - 1.5 * ~wrong)), ~wrong

    truth = sums(*scores(200_000))
    held = []
    for _ in range(100):
        confidence, correct = scores(n)
        aurc, excess, coverage = selective_metrics(Answered(confidence, correct), PARAMS)[:3]
        at_edge = bool(correct.all())
        held.append((at_edge, aurc.ci_low <= truth["aurc"] <= aurc.ci_high))
        assert coverage.ci_low <= truth["coverage_at_5_error"] <= coverage.ci_high
        assert not at_edge or excess.ci_low <= truth["e_aurc"] <= excess.ci_high
    edges = [ok for at_edge, ok in held if at_edge]
    assert len(edges) > 15
    assert all(edges)
    assert np.mean([ok for _, ok in held]) > 0.9
