"""Intervals cover as often as they say, also where nothing varies."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest

from pipeline_steps.evaluation.intervals import (
    bias_corrected_interval,
    tango_interval,
    two_sided_z,
    wilson_interval,
)
from pipeline_steps.evaluation.outcomes import Outcomes
from pipeline_steps.evaluation.scored import point_metrics
from pipeline_steps.evaluation.uncertainty import metric_values
from pipeline_steps.judging_params import EvaluateParams


@st.composite
def discordant(draw):
    n = draw(st.integers(1, 300))
    wins = draw(st.integers(0, n))
    return wins, draw(st.integers(0, n - wins)), n


@given(discordant())
def test_tango_holds_the_difference_and_turns_round_with_the_sides(counts) -> None:
    wins, losses, n = counts
    low, high = tango_interval(wins, losses, n, 0.95)
    assert -1 <= low <= (wins - losses) / n <= high <= 1
    assert tango_interval(losses, wins, n, 0.95) == pytest.approx((-high, -low), abs=1e-6)


@given(discordant())
def test_tango_excludes_zero_where_the_score_test_does(counts) -> None:
    """At a difference of 0 the score statistic is McNemar's (b - c) / sqrt(b + c)."""
    wins, losses, n = counts
    statistic = (wins - losses) / math.sqrt(wins + losses) if wins + losses else 0.0
    low, high = tango_interval(wins, losses, n, 0.95)
    if abs(abs(statistic) - two_sided_z(0.95)) > 1e-6:
        assert (low > 1e-12) == (statistic > two_sided_z(0.95))
        assert (high < -1e-12) == (statistic < -two_sided_z(0.95))


@pytest.mark.parametrize(("wins", "losses", "n"), [(12, 2, 50), (5, 9, 400), (40, 20, 160)])
def test_tango_ends_where_the_score_test_is_just_significant(wins, losses, n) -> None:
    """The restricted likelihood is maximised here by a general optimiser, not by the formula."""
    for end in tango_interval(wins, losses, n, 0.95):

        def minus_log_likelihood(q: float, delta: float = end) -> float:
            rest = n - wins - losses
            return -(
                wins * math.log(q + delta) + losses * math.log(q)
                + rest * math.log(1 - 2 * q - delta)
            )  # fmt: skip

        bounds = (max(0.0, -end) + 1e-9, (1 - end) / 2 - 1e-9)
        q = minimize_scalar(
            minus_log_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-10}
        ).x
        statistic = ((wins - losses) / n - end) / math.sqrt((2 * q + end - end**2) / n)
        assert abs(statistic) == pytest.approx(two_sided_z(0.95), abs=1e-3)


@given(st.integers(1, 500), st.data())
def test_wilson_is_the_interval_of_scipy(n: int, data) -> None:
    hits = data.draw(st.integers(0, n))
    theirs = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(hits, n, 0.95) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@pytest.mark.parametrize(("p_win", "p_loss"), [(0.02, 0.02), (0.10, 0.05), (0.01, 0.06)])
def test_tango_covers_the_true_difference_counted_over_all_outcomes(p_win, p_loss) -> None:
    n, covered, missed = 60, 0.0, 0.0
    both = math.log(1 - p_win - p_loss)
    for wins in range(25):
        for losses in range(25):
            rest = n - wins - losses
            log_p = (
                math.lgamma(n + 1) - math.lgamma(wins + 1) - math.lgamma(losses + 1)
                - math.lgamma(rest + 1) + wins * math.log(p_win) + losses * math.log(p_loss)
                + rest * both
            )  # fmt: skip
            low, high = tango_interval(wins, losses, n, 0.95)
            inside = low <= p_win - p_loss <= high
            covered += math.exp(log_p) if inside else 0.0
            missed += 0.0 if inside else math.exp(log_p)
    assert covered + missed == pytest.approx(1.0, abs=1e-4)
    assert 0.93 <= covered <= 1.0


def test_bias_correction_of_symmetric_resamples_is_the_percentile_interval() -> None:
    values = np.arange(-500, 501) / 500
    assert bias_corrected_interval(0.0, values, 0.95) == pytest.approx((-0.95, 0.95), abs=0.01)


def test_bias_correction_always_holds_the_estimate() -> None:
    low, high = bias_corrected_interval(1.0, np.linspace(0.5, 0.9, 100), 0.95)
    assert low <= 1.0 <= high


def test_no_mistake_among_few_rows_is_not_certainty() -> None:
    rows = draw_rows(20, 5, 1.0, seed=0)
    for metric in metric_values(rows, EvaluateParams(bootstrap_resamples=200)):
        if metric.name in ("accuracy", "macro_f1", "weighted_f1"):
            assert metric.value == metric.ci_high == 1.0
            assert metric.ci_low == wilson_interval(20, 20, 0.95)[0]


def draw_rows(n: int, n_labels: int, accuracy: float, seed: int) -> Outcomes:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, n_labels, n)
    wrong = generator.random(n) > accuracy
    predicted = np.where(wrong, generator.integers(0, n_labels, n), truth)
    zeros = np.zeros(n)
    names = tuple(str(i) for i in range(n_labels))
    return Outcomes(names, truth, predicted, zeros, zeros, np.full(n, 0.5), zeros.astype(int), 10)


@pytest.mark.slow
@pytest.mark.parametrize(("n_labels", "n"), [(10, 300), (20, 700), (77, 3000), (150, 1500)])
def test_intervals_cover_the_truth_about_as_often_as_they_say(n_labels: int, n: int) -> None:
    """Plain percentiles of macro-F1 cover 74 % at 150 labels of 10 rows each; the corrected 92 %."""
    truth = point_metrics(draw_rows(1_000_000, n_labels, 0.9, seed=10_000))
    covered = dict.fromkeys(("accuracy", "macro_f1", "weighted_f1"), 0)
    params = EvaluateParams(bootstrap_resamples=1000)
    for seed in range(250):
        for metric in metric_values(draw_rows(n, n_labels, 0.9, seed), params):
            if metric.name in covered:
                covered[metric.name] += metric.ci_low <= truth[metric.name] <= metric.ci_high
    for count in covered.values():
        assert 0.89 <= count / 250 <= 0.99
