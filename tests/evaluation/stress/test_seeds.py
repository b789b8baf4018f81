"""k seeds of one recipe: the spread is the floor below which no gain is one."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.stress.seeds import noise_floor, seed_report
from pipeline_steps.judging_params import EvaluateParams

PARAMS = EvaluateParams(bootstrap_resamples=50)
TRUTH = [i % 3 for i in range(30)]


def runs(save, *wrong: int):
    return [
        save(TRUTH, [(t + (i < n)) % 3 for i, t in enumerate(TRUTH)], digest=f"seed{k}")
        for k, n in enumerate(wrong)
    ]


def test_mean_spread_and_worst_seed_by_hand(save) -> None:
    report = seed_report(runs(save, 3, 6, 9), PARAMS)
    assert report.kind == "seeds"
    assert (report.suite, report.n) == ("test_seeds", 3)
    assert report.metric("accuracy_mean").value == pytest.approx(0.8)
    assert report.metric("accuracy_std").value == pytest.approx(0.1)
    assert report.metric("accuracy_worst_seed").value == pytest.approx(0.7)
    assert report.metric("nll_worst_seed").value > report.metric("nll_mean").value
    # Runs disagree on 3, 6 and 3 of 30 rows.
    assert report.metric("disagreement").value == pytest.approx(0.4 / 3)
    assert report.metric("failed_runs").value == 0.0
    mean = report.metric("accuracy_mean")
    assert mean.ci_low == pytest.approx(0.8 - 4.3027 * 0.1 / np.sqrt(3), abs=1e-4)


def test_intervals_are_those_of_normal_runs() -> None:
    stats = pytest.importorskip("statsmodels.stats.api")
    from pipeline_steps.evaluation.stress.seeds import _spread

    values = np.array([0.91, 0.9, 0.93, 0.88, 0.92])
    mean, deviation, _ = _spread("accuracy", values, PARAMS, better=True)
    low, high = stats.DescrStatsW(values).tconfint_mean(0.05)
    assert (mean.ci_low, mean.ci_high) == pytest.approx((low, high))
    assert deviation.ci_low < deviation.value < deviation.ci_high


def test_a_run_at_chance_has_failed(save) -> None:
    report = seed_report(runs(save, 0, 3, 20, 25), PARAMS)
    assert report.metric("failed_runs").value == 0.5


def test_the_noise_floor_is_the_deviation_of_each_axis(save) -> None:
    floor = noise_floor(seed_report(runs(save, 3, 6, 9), PARAMS))
    assert floor["test/accuracy"] == pytest.approx(0.1)
    assert "test/ece" in floor


def test_one_run_or_the_same_run_twice_has_no_spread(save) -> None:
    one = runs(save, 3)
    with pytest.raises(DataError, match="1 predictions of 1 different checkpoints"):
        seed_report(one, PARAMS)
    with pytest.raises(DataError, match="2 predictions of 1 different checkpoints"):
        seed_report(one * 2, PARAMS)


def test_runs_on_other_suites_are_refused(save) -> None:
    first, second = runs(save, 3)[0], save(TRUTH, TRUTH, digest="b", suite="typos")
    with pytest.raises(DataError, match="predicted on different rows"):
        seed_report([first, second], PARAMS)


def test_a_metric_that_is_undefined_in_one_run_has_no_spread(save) -> None:
    """A truth that a model does not know has no likelihood."""
    known = [
        save(TRUTH, TRUTH, digest="a"),
        save(TRUTH, [t % 2 for t in TRUTH], digest="b", known=2),
    ]
    report = seed_report(known, PARAMS)
    assert report.metric("nll_std").value is None
    assert report.metric("accuracy_std").value is not None


def test_two_runs_of_one_score_have_no_interval_and_no_score_is_above_1(save) -> None:
    """Two seeds said 0.921 [0.921, 0.921], deviation 0.000 [0.000, 0.000], others [0.43, 1.37]."""
    alike = seed_report(runs(save, 3, 3), PARAMS)
    for name in ("accuracy_mean", "accuracy_std"):
        assert (alike.metric(name).ci_low, alike.metric(name).ci_high) == (None, None)
    apart = seed_report(runs(save, 0, 9), PARAMS)
    assert (apart.metric("accuracy_mean").ci_low, apart.metric("accuracy_mean").ci_high) == (0, 1)
    assert apart.metric("nll_mean").ci_low == 0.0
    assert apart.metric("nll_mean").ci_high > 1.0
