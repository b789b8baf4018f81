"""Corrected gains and rows asked for: what they promise, held by simulation."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.registry.more_rows import PROMISED, more_rows
from pipeline_steps.registry.selection import corrected_gain

ERROR = 0.005


@pytest.mark.parametrize("alpha", [0.05, 0.001])
@pytest.mark.parametrize("true", [0.01, 0.02])
def test_half_of_the_corrected_gains_lie_above_the_true_one(alpha: float, true: float) -> None:
    """Among gains that were shown; the gains as measured lie above it far more often."""
    generator = np.random.default_rng(0)
    seen = true + ERROR * generator.standard_normal(60_000)
    shown = seen[seen > NormalDist().inv_cdf(1 - alpha) * ERROR][:1_500]
    corrected = np.array([corrected_gain(float(gain), ERROR, alpha) for gain in shown])
    assert abs((corrected > true).mean() - 0.5) < 0.04
    assert (shown > true).mean() > (corrected > true).mean()


@given(gain=st.floats(0, 0.2), error=st.floats(1e-4, 0.05), alpha=st.floats(1e-6, 0.2))
def test_a_corrected_gain_lies_between_nothing_and_what_was_measured(gain, error, alpha) -> None:
    assert 0.0 <= corrected_gain(gain, error, alpha) <= gain


@given(gain=st.floats(0.01, 0.1), more=st.floats(0, 0.05), alpha=st.floats(1e-4, 0.1))
def test_a_larger_gain_stays_larger_when_corrected(gain, more, alpha) -> None:
    smaller, larger = (corrected_gain(g, ERROR, alpha) for g in (gain, gain + more))
    assert larger >= smaller - 1e-9


def test_the_rows_asked_for_decide_as_often_as_promised() -> None:
    """With a flat prior, the truth given what was seen is normal around it."""
    generator = np.random.default_rng(1)
    n, margin, gain, error = 500, 0.03, 0.0, 0.02
    more = more_rows(gain, error, margin, n, 0.95)
    assert more is not None
    total = n + more
    truth = gain + error * generator.standard_normal(20_000)
    new = truth + error * np.sqrt(n / more) * generator.standard_normal(20_000)
    pooled = (n * gain + more * new) / total
    half = 1.959964 * error * np.sqrt(n / total)
    decided = (pooled - half >= -margin) | (pooled + half < 0)
    assert abs(decided.mean() - PROMISED) < 0.02


def test_a_clear_case_asks_for_fewer_rows_than_a_close_one() -> None:
    clear, close = (more_rows(gain, 0.02, 0.03, 500, 0.95) for gain in (0.005, -0.01))
    assert clear is not None
    assert close is not None
    assert clear < close


def test_without_any_spread_no_number_is_named() -> None:
    assert more_rows(0.0, 0.0, 0.03, 500, 0.95) is None
