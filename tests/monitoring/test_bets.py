"""The detector's arithmetic beside the plain loop that defines it; every bet is fair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_steps.monitoring.bets import (
    LARGEST,
    N_BETS,
    N_BINS,
    bet_shares,
    fair_bets,
    score_shares,
    wagered,
)
from pipeline_steps.monitoring.e_detector import EDetector
from pipeline_steps.monitoring.scores import SCORES

NAMES = ("surprise", "length", "distance")
SLOPES = (-0.9, -0.5, -0.2, 0.2, 0.5, 0.9)
LOWER = ((8, 0.1), (8, 0.4), (32, 0.05), (32, 0.25))
UPPER = (*LOWER, (16, 0.1), (16, 0.3), (64, 0.1), (128, 0.05))
WEIGHTS = (0.15, 0.5)
WORTH = np.array([1, 1, 1, 1, 2, 2, *([1] * 4), *([4] * 8), 4, 4])
SHARES, STAKES = WORTH / WORTH.sum(), np.array([1.0, 0.5, 3.0]) / 4.5


def plainly(reference, rows, u):
    """Return ``R`` after each row by the definitions, one row and one score after another."""
    bags = [list(column[~np.isnan(column)]) for column in reference.T]
    wealth, histogram = np.zeros((rows.shape[1], N_BETS)), np.ones((rows.shape[1], N_BINS))
    path = []
    for row, uniform in zip(rows, u, strict=True):
        for k, score in enumerate(row):
            bets = np.ones(N_BETS)
            if not np.isnan(score):
                below = sum(other < score for other in bags[k])
                equal = sum(other == score for other in bags[k])
                p = (below + uniform[k] * (1 + equal)) / (len(bags[k]) + 1)
                bets = plain_bets(p, histogram[k])
                histogram[k] = 1 + 0.995 * (histogram[k] - 1)
                histogram[k, min(int(p * N_BINS), N_BINS - 1)] += 1
                bags[k].append(score)
            wealth[k] = np.minimum((wealth[k] + 1) * bets, LARGEST)
        path.append(STAKES @ wealth @ SHARES)
    return np.array(path)


def plain_bets(p, histogram):
    bets = [1 + slope * (2 * p - 1) for slope in SLOPES]
    bets += [1 - weight + weight * e * (1 - p) ** (e - 1) for e, weight in LOWER]
    bets += [1 - weight + weight * e * p ** (e - 1) for e, weight in UPPER]
    share = histogram[min(int(p * N_BINS), N_BINS - 1)] / histogram.sum()
    return np.array([*bets, *(1 + weight * (N_BINS * share - 1) for weight in WEIGHTS)])


@pytest.mark.parametrize("shift", [0.0, 0.3, 4.0])
def test_all_rows_at_once_give_the_numbers_of_the_plain_loop(shift) -> None:
    rng = np.random.default_rng(0)
    reference, rows = rng.standard_normal((150, 3)), rng.standard_normal((200, 3)) + shift
    for scores in (reference, rows):
        scores[:, 1] = np.round(scores[:, 1])
        scores[rng.random(scores.shape) < 0.1] = np.nan
    u = rng.random(rows.shape)
    found = EDetector.on(NAMES, reference, 1e5).observe(rows, u)
    np.testing.assert_allclose(found, plainly(reference, rows, u), rtol=1e-9)


@given(st.lists(st.sampled_from([1e-3, 0.1, 0.5, 1.0, 2.0, 16.0]), min_size=1, max_size=200))
@settings(max_examples=20, deadline=None)
def test_sums_are_those_of_the_recursion_however_large(bets) -> None:
    wealth, expected = 3.0, []
    for bet in bets:
        wealth = min((wealth + 1.0) * bet, LARGEST)
        expected.append(wealth)
    found = wagered(np.array([3.0]), np.array([bets]))
    np.testing.assert_allclose(found[0], expected, rtol=1e-9)


@pytest.mark.parametrize("histogram", [np.ones(N_BINS), np.arange(1.0, N_BINS + 1)])
def test_each_bet_has_mean_one_under_uniform_p(histogram) -> None:
    """Each p is the first row of a score of its own, so that nothing is learnt in between."""
    p = (np.arange(400)[:, None] + 0.5) / 400
    bets, _ = fair_bets(p, np.zeros(p.shape, dtype=int), np.tile(histogram, (len(p), 1)))
    assert bets.min() > 0
    np.testing.assert_allclose(bets.mean(axis=(1, 2)), 1.0, atol=2e-3)


def test_shares_are_fixed_beforehand_and_sum_to_one() -> None:
    assert bet_shares().sum() == pytest.approx(1.0)
    assert score_shares(SCORES).sum() == pytest.approx(1.0)
    np.testing.assert_allclose(score_shares(("a", "b")), 0.5)


def test_a_frozen_bag_makes_every_bet_smaller_and_a_larger_one_less_so() -> None:
    p, histogram = np.linspace(0.01, 0.99, 50)[None], np.arange(1.0, N_BINS + 1)[None]
    free, small, large = (
        fair_bets(p, np.full(p.shape, n), histogram)[0] for n in (0, 1_000, 100_000)
    )
    moving = np.ptp(free, axis=2) > 0
    assert (small[moving] < large[moving]).all()
    assert (large[moving] < free[moving]).all()
