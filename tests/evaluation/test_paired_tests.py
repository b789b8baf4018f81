"""Paired tests: exact where they can be, at most as often wrong as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_steps.evaluation.outcomes import Outcomes
from pipeline_steps.evaluation.paired_tests import Swaps, mcnemar_p, swap_tests
from pipeline_steps.evaluation.scored import point_metrics

counts = st.integers(0, 40)
_UNKNOWN = 4
"""A label that no model can answer: the loss of its rows is infinite."""


def make_rows(truth: np.ndarray, predicted: np.ndarray) -> Outcomes:
    n = len(truth)
    zeros = np.zeros(n)
    labels = tuple("abcde")
    losses = np.where(truth == _UNKNOWN, np.inf, zeros)
    return Outcomes(labels, truth, predicted, losses, zeros, np.full(n, 0.5), zeros.astype(int), 10)


@given(counts, counts)
def test_mcnemar_counts_the_heads_of_a_fair_coin(wins: int, losses: int) -> None:
    n = wins + losses
    expected = sum(math.comb(n, k) for k in range(wins, n + 1)) / 2**n
    assert mcnemar_p(wins, losses) == pytest.approx(expected)


def test_swapping_agrees_with_mcnemar_on_accuracy() -> None:
    """For accuracy the two are the same test, one by drawing and one by counting."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 4, 400)
    ours = np.where(generator.random(400) < 0.90, truth, (truth + 1) % 4)
    theirs = np.where(generator.random(400) < 0.87, truth, (truth + 2) % 4)
    a, b = make_rows(truth, ours), make_rows(truth, theirs)
    gain = point_metrics(a)["accuracy"] - point_metrics(b)["accuracy"]
    drawn, _ = swap_tests(a, b, {"accuracy": gain}, Swaps(4000, 4000, 0))["accuracy"]
    exact = mcnemar_p(int((a.correct & ~b.correct).sum()), int((b.correct & ~a.correct).sum()))
    assert 0.005 < exact < 0.5
    assert drawn == pytest.approx(exact, abs=0.03)


def test_a_p_value_of_no_gain_at_all_is_one() -> None:
    truth = np.arange(40) % 4
    rows = make_rows(truth, truth)
    assert swap_tests(rows, rows, {"macro_f1": 0.0}, Swaps(100, 400, 0)) == {"macro_f1": (1.0, 1.0)}


def test_equal_models_show_a_gain_in_macro_f1_at_most_as_often_as_alpha() -> None:
    found = 0
    for seed in range(300):
        generator = np.random.default_rng(seed)
        truth = generator.choice(4, size=120, p=[0.6, 0.2, 0.15, 0.05])
        noise = [generator.random(120) < 0.2 for _ in range(2)]
        a, b = (make_rows(truth, np.where(wrong, (truth + 1) % 4, truth)) for wrong in noise)
        gain = point_metrics(a)["macro_f1"] - point_metrics(b)["macro_f1"]
        found += swap_tests(a, b, {"macro_f1": gain}, Swaps(50, 200, seed))["macro_f1"][0] <= 0.05
    assert found / 300 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 300)


@given(st.integers(0, 2**20), st.sampled_from([0.02, 0.05, 0.1, 0.3]))
@settings(max_examples=8, deadline=None)
def test_what_enough_of_the_first_swaps_tell_is_final(seed: int, wrong: float) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 4, 80)
    noise = [generator.random(80) < share for share in (wrong, 0.1)]
    a, b = (make_rows(truth, np.where(missed, (truth + 1) % 4, truth)) for missed in noise)
    gains = {"macro_f1": point_metrics(a)["macro_f1"] - point_metrics(b)["macro_f1"]}
    short, long = (swap_tests(a, b, gains, Swaps(100, most, 0))["macro_f1"] for most in (100, 800))
    enough = 10.5 / 101  # ten swaps and the observed pair itself
    assert [one for one in short if one > enough] == [
        other for one, other in zip(short, long, strict=True) if one > enough
    ]


def test_a_plain_difference_is_told_as_finely_as_the_most_swaps_can() -> None:
    """1,000 swaps cannot go below 0.001, and the gate asks for less; see the first look of 52."""
    truth = np.arange(200) % 4
    good, bad = make_rows(truth, truth), make_rows(truth, (truth + 1) % 4)
    swaps = Swaps(100, 3000, 0)
    assert swap_tests(good, bad, {"macro_f1": 1.0}, swaps) == {"macro_f1": (1 / 3001, 1.0)}
    assert swap_tests(bad, good, {"macro_f1": -1.0}, swaps) == {"macro_f1": (1.0, 1 / 3001)}
    harm_only = Swaps(100, 3000, 0, better=False)
    assert swap_tests(good, bad, {"macro_f1": 1.0}, harm_only) == {"macro_f1": (1 / 101, 1.0)}
    assert swaps.resolution == 1 / 3001


def test_a_metric_that_is_infinite_on_both_sides_is_not_drawn_with_the_others() -> None:
    """A truth that neither model knows: its loss is infinite, and infinity less infinity warns."""
    truth = np.append(np.arange(40) % 4, _UNKNOWN)
    good, bad = make_rows(truth, truth % 4), make_rows(truth, (truth + 1) % 4)
    assert point_metrics(good)["nll"] == point_metrics(bad)["nll"] == math.inf
    gain = point_metrics(good)["macro_f1"] - point_metrics(bad)["macro_f1"]
    better, _ = swap_tests(good, bad, {"macro_f1": gain}, Swaps(100, 100, 0))["macro_f1"]
    assert better == 1 / 101
