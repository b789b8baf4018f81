"""One temperature for all logits: it makes them honest and changes no answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_steps.evaluation.metrics import negative_log_likelihood
from pipeline_steps.evaluation.stress.temperature import fit_temperature


def honest_rows(n: int, seed: int, width: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return logits and truths that are drawn with exactly the probabilities they state."""
    generator = np.random.default_rng(seed)
    logits = 2.0 * generator.normal(size=(n, width))
    return logits, (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)


def test_honest_logits_have_the_temperature_one_inside_the_interval() -> None:
    found = fit_temperature(*honest_rows(5_000, seed=1), 0.95)
    assert found.ci_low < 1.0 < found.ci_high
    assert found.value == pytest.approx(1.0, abs=0.05)


def test_the_interval_covers_about_as_often_as_it_says() -> None:
    found = [fit_temperature(*honest_rows(200, seed), 0.9) for seed in range(300)]
    covered = np.mean([f.ci_low <= 1.0 <= f.ci_high for f in found])
    assert 0.85 <= covered <= 0.95


@settings(max_examples=25)
@given(st.integers(0, 1_000), st.floats(0.2, 5.0))
def test_logits_that_are_too_large_by_a_factor_get_that_factor_back(seed, factor) -> None:
    logits, truth = honest_rows(300, seed)
    plain = fit_temperature(logits, truth, 0.95)
    stretched = fit_temperature(factor * logits, truth, 0.95)
    assert stretched.value == pytest.approx(factor * plain.value, rel=1e-6)
    assert stretched.ci_high == pytest.approx(factor * plain.ci_high, rel=1e-6)


@settings(max_examples=25)
@given(st.integers(0, 1_000), st.floats(0.2, 5.0))
def test_no_other_temperature_makes_the_rows_more_likely(seed, other) -> None:
    logits, truth = honest_rows(100, seed)
    found = fit_temperature(logits, truth, 0.95)
    best, else_ = (negative_log_likelihood(logits / t, truth).mean() for t in (found.value, other))
    assert best <= else_ + 1e-9


def test_two_labels_by_hand() -> None:
    """Three of four right at a margin of 1: the most likely margin is log 3."""
    logits = np.array([[1.0, 0.0]] * 4)
    found = fit_temperature(logits, np.array([0, 0, 0, 1]), 0.95)
    assert found.value == pytest.approx(1.0 / np.log(3.0))
    assert found.n == 4


@pytest.mark.parametrize(
    ("logits", "truth"),
    [
        (np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([0, 1])),  # all right: surer is better
        (np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([1, 0])),  # all wrong
        (np.zeros((3, 2)), np.array([0, 1, 0])),  # says nothing
        (np.zeros((2, 2)), np.array([-1, -1])),  # no row with a known truth
        # Next to nothing: the interval would be from 0 to infinity.
        (np.array([[1e-3, 0.0]] * 20 + [[1e-5, 0.0]]), np.array([0, 1] * 10 + [0])),
    ],
)
def test_where_there_is_no_temperature_there_is_none(logits, truth) -> None:
    assert fit_temperature(logits, truth, 0.95) is None
