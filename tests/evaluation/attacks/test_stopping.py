"""Attacks that stop when it is clear: how often they are wrong, and what they save."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline_steps.attack_types import StoppedAttack
from pipeline_steps.comparison_types import PairedComparison, PairedDifference
from pipeline_steps.evaluation.attacks.stopping import (
    Bounds,
    fair_comparison,
    fair_report,
    where_it_stands,
)
from pipeline_steps.evaluation_types import EvaluationReport, MetricValue


def stand(ours: list[float], theirs: list[float], bounds: Bounds) -> StoppedAttack:
    return where_it_stands(ours, theirs, bounds, of=500, alpha=0.05)


def test_all_bounds_must_hold_and_one_that_falls_is_enough() -> None:
    good, bad = [1.0] * 60, [0.0] * 60
    assert stand(good, [], Bounds(floor=0.5)).decision == "above"
    assert stand(bad, [], Bounds(floor=0.5)).decision == "below"
    assert stand(good[:3], [], Bounds(floor=0.5)).decision == "open"
    assert stand(good, bad, Bounds(floor=0.5, margin=0.1)).decision == "above"
    assert stand(good, good, Bounds(floor=0.5, margin=0.01)).decision == "open"
    assert stand(bad, good, Bounds(margin=0.1)).decision == "below"
    assert stand(good, good, Bounds()).decision == "open"


def test_the_difference_is_candidate_minus_champion() -> None:
    found = stand([1.0] * 40, [0.0] * 40, Bounds(margin=0.0))
    assert found.margin_low is not None
    assert found.margin_high is not None
    assert 0.5 < found.margin_low < found.margin_high == pytest.approx(1.0)


def test_an_attack_at_its_floor_is_seldom_said_to_be_above_it_however_often_one_looks() -> None:
    """With alpha 0.05 the two-sided interval may miss in 5 % of the sequences, looks included."""
    generator = np.random.default_rng(0)
    wrong = 0
    for _ in range(60):
        rows = (generator.random(200) < 0.4).astype(float).tolist()
        looks = (stand(rows[:n], [], Bounds(floor=0.4)).decision for n in range(50, 201, 25))
        wrong += any(decision != "open" for decision in looks)
    assert wrong <= 60 * 0.05 + 4


def test_a_clear_result_needs_a_part_of_the_rows() -> None:
    generator = np.random.default_rng(1)
    rows = (generator.random(500) < 0.75).astype(float).tolist()
    needed = next(
        n for n in range(50, 501, 25) if stand(rows[:n], [], Bounds(floor=0.5)).decision != "open"
    )
    assert needed <= 150


def test_what_stopping_makes_unfair_carries_no_interval() -> None:
    stopped = stand([1.0] * 60, [0.0] * 60, Bounds(margin=0.1))
    metrics = tuple(
        MetricValue(name=name, value=0.9, n=60, ci_low=0.8, ci_high=0.95)
        for name in ("accuracy", "macro_f1")
    )
    report = EvaluationReport(
        checkpoint_digest="c", dataset_digest="d", predictions_digest="p", suite="pruthi",
        kind="adversarial", n=60, metrics=metrics,
    )  # fmt: skip
    accuracy, f1 = fair_report(report, stopped).metrics
    assert (accuracy.ci_low, accuracy.ci_high) == (stopped.ci_low, stopped.ci_high)
    assert (f1.value, f1.ci_low, f1.ci_high) == (0.9, None, None)
    differences = tuple(
        PairedDifference(
            name=name, candidate=1.0, champion=0.0, difference=1.0, ci_low=0.9, ci_high=1.0,
            p_value=0.001, n=60,
        )
        for name in ("accuracy", "macro_f1")
    )  # fmt: skip
    comparison = PairedComparison(
        suite="pruthi", dataset_digest="d", candidate_digest="c", champion_digest="o", n=60,
        n_only_candidate_correct=60, n_only_champion_correct=0, differences=differences,
    )  # fmt: skip
    (kept,) = fair_comparison(comparison, stopped).differences
    assert (kept.name, kept.ci_low, kept.p_value) == ("accuracy", stopped.margin_low, None)
