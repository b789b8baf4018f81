"""What suites and groups score on average, and how sure that is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline_steps.evaluation.evaluate import evaluate
from pipeline_steps.evaluation.group_means import group_means
from pipeline_steps.evaluation.intervals import tango_interval, wilson_interval
from pipeline_steps.evaluation.stress.suites import evaluate_all
from pipeline_steps.evaluation_types import MetricValue, SliceMetrics
from pipeline_steps.judging_params import EvaluateParams
from pipeline_steps.reporting.summary import further_lines

PARAMS = EvaluateParams(bootstrap_resamples=1_000, min_slice_rows=5)
TRUTH = [i % 3 for i in range(200)]
MISSED = np.random.default_rng(7).random(200)


def answers(share: float, seed: int | None = None) -> list[int]:
    """Return answers of which about a share is wrong; without a seed always the same rows."""
    missed = MISSED if seed is None else np.random.default_rng(seed).random(200)
    return [(t + (m < share)) % 3 for t, m in zip(TRUTH, missed, strict=True)]


def average(*judged):
    return next(r for r in evaluate_all(judged, PARAMS) if r.kind == "average")


def accuracy(predictions) -> MetricValue:
    return evaluate(predictions, PARAMS).metric("accuracy")


def test_the_average_gives_each_suite_the_same_weight_and_says_what_is_lost(save) -> None:
    clean, typos = save(TRUTH, answers(0.1)), save(TRUTH, answers(0.3), suite="t", kind="noise")
    air = save(TRUTH[:50], answers(0.5)[:50], suite="air", kind="shift")
    report = average(clean, typos, air)
    mean = (accuracy(typos).value + accuracy(air).value) / 2
    assert report.metric("accuracy").value == pytest.approx(mean)
    assert report.metric("accuracy_gap").value == pytest.approx(accuracy(clean).value - mean)
    assert [metric.n for metric in report.metrics] == [250, 250]
    assert [metric.greater_is_better for metric in report.metrics] == [True, False]
    assert report.averages[0].suites == ("t", "air")


def test_a_suite_judged_twice_makes_the_average_no_surer(save) -> None:
    """The rows are the same ones: an interval over 400 answers would be too narrow by a third."""
    clean = save(TRUTH, answers(0.1))
    copies = [save(TRUTH, answers(0.3), suite=name, kind="noise") for name in ("one", "two")]
    found, alone = average(clean, *copies).metric("accuracy"), accuracy(copies[0])
    low, high = wilson_interval(round(200 * alone.value), 200, 0.95)
    assert found.n == 200
    assert (found.ci_low, found.ci_high) == (pytest.approx(low, 0.02), pytest.approx(high, 0.02))


def test_suites_of_other_rows_make_the_average_surer(save) -> None:
    clean = save(TRUTH, answers(0.1))
    apart = [save(TRUTH, answers(0.3, s), suite=f"s{s}", kind="shift") for s in range(4)]
    found, alone = average(clean, *apart).metric("accuracy"), accuracy(apart[0])
    narrower = (found.ci_high - found.ci_low) / (alone.ci_high - alone.ci_low)
    assert narrower == pytest.approx(1 / math.sqrt(4), rel=0.15)


def test_the_gap_is_surer_than_the_mean_where_the_same_rows_are_hard(save) -> None:
    clean = save(TRUTH, answers(0.30))
    noisy = [save(TRUTH, answers(0.32 + s / 50), suite=f"s{s}", kind="noise") for s in range(2)]
    found = average(clean, *noisy)
    widths = [metric.ci_high - metric.ci_low for metric in found.metrics]
    assert widths[1] < 0.6 * widths[0]


def test_no_mistake_anywhere_is_as_uncertain_as_the_rows_are_few(save) -> None:
    clean = save(TRUTH, TRUTH)
    report = average(clean, *[save(TRUTH, TRUTH, suite=s, kind="noise") for s in ("a", "b")])
    mean, gap = report.metrics
    assert (mean.ci_low, mean.ci_high) == wilson_interval(200, 200, 0.95)
    assert (gap.value, gap.ci_low, gap.ci_high) == (0.0, *tango_interval(0, 0, 200, 0.95))
    apart = average(clean, *[save(TRUTH, TRUTH, suite=s, kind="shift") for s in ("a", "b")])
    assert apart.metric("accuracy_gap").ci_low < 0.0 < apart.metric("accuracy_gap").ci_high


def test_kinds_with_several_suites_have_an_average_of_their_own(save) -> None:
    clean = save(TRUTH, answers(0.1))
    noisy = [save(TRUTH, answers(0.3), suite=name, kind="noise") for name in ("one", "two")]
    report = average(clean, *noisy, save(TRUTH, answers(0.5), suite="air", kind="shift"))
    assert [metric.name for metric in report.metrics] == [
        "accuracy", "accuracy_gap", "accuracy_noise", "accuracy_noise_gap",
    ]  # fmt: skip
    assert report.metric("accuracy_noise").value == pytest.approx(accuracy(noisy[0]).value)
    [said] = [line for line in further_lines([report]) if line.startswith("average of 3 suites")]
    assert "accuracy_noise" in said


def test_one_suite_has_no_average(save) -> None:
    judged = [save(TRUTH, TRUTH), save(TRUTH, answers(0.3), suite="typos", kind="noise")]
    assert [report.kind for report in evaluate_all(judged, PARAMS)] == ["clean", "noise"]


def group(column: str, value: float | None, n: int = 50, hits: int = 0) -> SliceMetrics:
    ends = (None, None) if value is None else wilson_interval(hits or round(value * n), n, 0.95)
    found = MetricValue(name="accuracy", value=value, n=n, ci_low=ends[0], ci_high=ends[1])
    return SliceMetrics(column=column, value=str(value), n=n, metrics=(found,))


def test_the_mean_of_groups_gives_a_small_group_the_weight_of_a_large_one() -> None:
    [mean] = group_means([group("domain", 0.9, 1_000), group("domain", 0.5, 20)])
    assert (mean.name, mean.value, mean.n) == ("mean_group_accuracy_domain", 0.7, 1_020)
    small = wilson_interval(10, 20, 0.95)
    assert mean.ci_high - mean.ci_low == pytest.approx((small[1] - small[0]) / 2, rel=0.05)


def test_groups_of_other_columns_have_a_mean_of_their_own_and_one_group_has_none() -> None:
    parts = [group("domain", 0.9), group("year", 0.8), group("domain", 0.7)]
    assert [mean.name for mean in group_means(parts)] == ["mean_group_accuracy_domain"]


def test_a_group_without_a_value_leaves_the_mean_undefined() -> None:
    [mean] = group_means([group("domain", 0.9), group("domain", None)])
    assert (mean.value, mean.ci_low, mean.ci_high) == (None, None, None)


def test_the_interval_of_the_mean_of_groups_holds_the_truth_as_often_as_it_says() -> None:
    truth, sizes = (0.95, 0.8, 0.6), (300, 60, 25)
    generator, held = np.random.default_rng(0), 0
    for _ in range(1_000):
        hits = generator.binomial(sizes, truth)
        parts = [group("g", h / n, n, h) for h, n in zip(hits.tolist(), sizes, strict=True)]
        [mean] = group_means(parts)
        held += mean.ci_low <= sum(truth) / 3 <= mean.ci_high
    assert 0.935 <= held / 1_000 <= 0.975


def test_the_means_of_groups_stand_among_the_metrics_of_a_suite(save) -> None:
    report = evaluate(save(TRUTH, answers(0.3)), PARAMS)
    mean = report.metric("mean_group_accuracy_domain")
    assert mean.value == pytest.approx(sum(p.metrics[0].value for p in report.slices) / 2)
    assert any("mean group accuracy domain" in line for line in further_lines([report]))
