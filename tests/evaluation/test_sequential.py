"""Sequential tests: hand-computed wealth, false decisions by simulation, coverage at all times."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_steps.errors import ConfigurationError
from pipeline_steps.evaluation.intervals import wilson_interval
from pipeline_steps.evaluation.sequential import (
    MeanTest,
    confidence_sequence,
    decide,
    decide_paired,
)

BETS = [(i + 0.5) / 40 for i in range(40)]


def rows(rate: float, n: int, seed: int) -> list[float]:
    return [float(hit) for hit in np.random.default_rng(seed).random(n) < rate]


def test_the_decision_falls_with_the_row_at_which_the_mean_wealth_reaches_one_over_alpha() -> None:
    """After k rights the wealth of a bet b against 1/2 is (1 + b) ** k."""
    wealth = [sum((1 + b) ** k for b in BETS) / 40 for k in range(20)]
    first = next(k for k in range(20) if wealth[k] >= 20)
    found = decide([1.0] * 20, 0.5, 0.05)
    assert (found.decision, found.n) == ("above", first)
    assert decide([0.0] * 20, 0.5, 0.05).decision == "below"


def test_too_few_rows_decide_nothing() -> None:
    found = decide(rows(0.3, 60, 1), 0.3, 0.05)
    assert (found.decision, found.n) == ("open", 60)
    assert found.ci_low <= 0.3 <= found.ci_high
    assert math.isnan(decide([], 0.3, 0.05).mean)


def test_a_decision_that_fell_stays() -> None:
    test = MeanTest(0.5, 0.05)
    assert test.add([1.0] * 30) == "above"
    n = test.n
    assert n < 30
    assert test.add([0.0] * 500) == "above"
    assert test.n == n


@pytest.mark.parametrize("truth", [0.3, 0.27])
def test_a_mean_that_is_not_above_the_floor_is_seldom_said_to_be(truth: float) -> None:
    """1,000 runs of up to 400 rows, looked at after each: a share of at most alpha is wrong."""
    wrong = sum(decide(rows(truth, 400, s), 0.3, 0.05).decision == "above" for s in range(1_000))
    assert wilson_interval(wrong, 1_000, 0.99)[0] <= 0.05
    assert wrong > 0 or truth < 0.3  # the simulation is able to see false decisions


def test_a_mean_that_is_not_below_the_floor_is_seldom_said_to_be() -> None:
    wrong = sum(decide(rows(0.3, 400, s), 0.3, 0.05).decision == "below" for s in range(1_000))
    assert wrong > 0
    assert wilson_interval(wrong, 1_000, 0.99)[0] <= 0.05


def test_looking_at_a_wilson_interval_after_each_row_is_wrong_far_more_often() -> None:
    """Why there is this module: the same 300 streams, each interval at 95 %."""

    def excludes(values: list[float]) -> bool:
        hits = np.cumsum(values).astype(int)
        bounds = (wilson_interval(int(h), i, 0.95) for i, h in enumerate(hits, 1))
        return any(not low <= 0.3 <= high for low, high in bounds)

    assert sum(excludes(rows(0.3, 400, s)) for s in range(300)) / 300 > 0.15


def test_the_confidence_sequence_covers_the_truth_when_one_stops_at_the_worst_time() -> None:
    """Stopped where the mean is farthest from the truth, in 200 runs of 200 rows."""
    missed = 0
    for seed in range(200):
        values = rows(0.4, 200, seed)
        running = np.cumsum(values) / np.arange(1, 201)
        scale = np.sqrt(np.arange(1, 201))
        worst = int(np.argmax(np.abs(running - 0.4) * scale)) + 1
        low, high = confidence_sequence(values[:worst], 0.05)
        missed += not low <= 0.4 <= high
    assert wilson_interval(missed, 200, 0.99)[0] <= 0.05


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60))
def test_the_interval_holds_the_mean_and_mirrors_with_the_values(values: list[float]) -> None:
    low, high = confidence_sequence(values, 0.05)
    assert 0.0 <= low <= np.mean(values) + 1e-9
    assert np.mean(values) - 1e-9 <= high <= 1.0
    mirrored = confidence_sequence([1.0 - value for value in values], 0.05)
    assert mirrored == pytest.approx((1.0 - high, 1.0 - low), abs=1.5e-3)


def test_a_clear_difference_between_paired_versions_needs_few_rows() -> None:
    better = decide_paired([1.0] * 200, [0.0, 1.0] * 100, 0.0, 0.05)
    assert better.decision == "above"
    assert better.n < 60
    assert better.ci_low <= better.mean <= better.ci_high <= 1.0


def test_versions_that_are_alike_are_within_a_margin_and_not_better() -> None:
    same = rows(0.5, 300, 2)
    assert decide_paired(same, same, 0.05, 0.05).decision == "above"
    assert decide_paired(same, same, 0.0, 0.05).decision == "open"


@pytest.mark.parametrize(("floor", "alpha"), [(0.0, 0.05), (1.0, 0.05), (0.3, 0.0)])
def test_a_floor_at_the_edge_is_refused(floor: float, alpha: float) -> None:
    with pytest.raises(ConfigurationError, match="cannot be tested"):
        MeanTest(floor, alpha)
