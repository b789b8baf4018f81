"""The calibration error and its interval, which must be able to say "none"."""

from __future__ import annotations

import numpy as np
import pytest

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


def error(rows: Outcomes):
    return metric_values(rows, PARAMS, ("ece",))[0]


def test_the_interval_of_a_calibrated_model_reaches_zero() -> None:
    found = error(draw(500, 2, overconfidence=0.0))
    assert found.value > 0.01  # the binned error is never 0 on finite rows
    assert found.ci_low == 0.0


def test_the_interval_of_an_overconfident_model_lies_above_zero() -> None:
    found = error(draw(500, 1, overconfidence=0.3))
    assert 0.1 < found.ci_low <= found.value <= found.ci_high


def test_a_model_that_is_sure_and_right_has_no_error() -> None:
    found = error(rows_that_say(np.ones(50), np.ones(50, dtype=bool)))
    assert (found.value, found.ci_low, found.ci_high) == (0.0, 0.0, 0.0)


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
