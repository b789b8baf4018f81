"""The calibration error and its interval, which must be able to say "none"."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline_steps.evaluation.intervals import wilson_interval
from pipeline_steps.evaluation.metrics import calibration_bins
from pipeline_steps.evaluation.outcomes import Outcomes
from pipeline_steps.evaluation.uncertainty import metric_values
from pipeline_steps.judging_params import EvaluateParams

PARAMS = EvaluateParams(bootstrap_resamples=300)


def rows_that_say(confidence: np.ndarray, right: np.ndarray) -> Outcomes:
    zeros = np.zeros(len(right))
    predicted = np.where(right, 0, 1)
    bins = calibration_bins(confidence, 15)
    return Outcomes(("a", "b"), zeros.astype(int), predicted, zeros, zeros, confidence, bins, 15)


def draw(n: int, seed: int, overconfidence: float) -> Outcomes:
    generator = np.random.default_rng(seed)
    says = generator.uniform(0.4, 1.0, n)
    return rows_that_say(says, generator.random(n) < says - overconfidence * says)


def metric(rows: Outcomes, name: str):
    return metric_values(rows, PARAMS, (name,))[0]


def error(rows: Outcomes):
    return metric(rows, "ece")


def test_the_interval_of_a_calibrated_model_reaches_zero() -> None:
    found = error(draw(500, 2, overconfidence=0.0))
    assert found.value > 0.01  # the binned error is never 0 on finite rows
    assert found.ci_low == 0.0


def test_the_interval_of_an_overconfident_model_lies_above_zero() -> None:
    found = error(draw(500, 1, overconfidence=0.3))
    assert 0.1 < found.ci_low <= found.value <= found.ci_high


def test_a_model_that_is_sure_and_right_has_no_error_as_far_as_50_rows_show() -> None:
    found = error(rows_that_say(np.ones(50), np.ones(50, dtype=bool)))
    assert (found.value, found.ci_low) == (0.0, 0.0)
    assert found.ci_high == pytest.approx(wilson_interval(0, 50, 0.95)[1])


@pytest.mark.slow
@pytest.mark.parametrize("overconfidence", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("n", [200, 1000])
def test_the_interval_covers_the_true_error(overconfidence: float, n: int) -> None:
    """Plain percentiles cover the 0 of a calibrated model never."""
    truth = 0.7 * overconfidence  # the mean of confidence is 0.7
    covered = 0
    for seed in range(200):
        found = error(draw(n, seed, overconfidence))
        covered += found.ci_low <= truth <= found.ci_high
    assert covered / 200 >= 0.93


@pytest.mark.parametrize("name", ["ece", "brier"])
@pytest.mark.parametrize("right", [True, False])
def test_rows_that_are_all_right_or_all_wrong_leave_room_for_what_they_do_not_show(
    name: str, right: bool
) -> None:
    """Resamples of 20 sure answers without a mistake are all alike: they said [0, 0]."""
    says = np.full(20, 0.999)
    rows = replace(
        rows_that_say(says, np.full(20, right)), brier=np.full(20, 2 * (right - 0.999) ** 2)
    )
    found = metric(rows, name)
    assert found.ci_high - found.ci_low >= 0.16  # as much as Wilson's interval of 20 rows
    assert 0.0 <= found.ci_low <= found.value <= found.ci_high <= 2.0


@pytest.mark.parametrize("n", [20, 60])
def test_the_interval_of_a_nearly_perfect_model_covers_its_error(n: int) -> None:
    """It says 0.999 and is right in 0.97: without a mistake, resamples never reach 0.029."""
    covered = 0
    for seed in range(100):
        right = np.random.default_rng(seed).random(n) < 0.97
        found = error(rows_that_say(np.full(n, 0.999), right))
        covered += found.ci_low <= 0.029 <= found.ci_high
    assert covered >= 95
