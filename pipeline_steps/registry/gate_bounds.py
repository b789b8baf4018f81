"""Floors of a candidate's own numbers, and ceilings on what a change of version may cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline_steps.comparison_types import CostComparison, PairedComparison
from pipeline_steps.errors import counted
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.gate_types import GateCheck
from pipeline_steps.judging_params import GateParams
from pipeline_steps.registry.gate_axes import clean_suite, find_metric

LATENCY = "latency"


def floor_check(
    reports: Sequence[EvaluationReport], axis: str, floor: float, policy: GateParams
) -> GateCheck:
    """Return whether the point estimate reaches the floor (a ceiling where less is better)."""
    name = f"floor {axis}"
    metric = find_metric(reports, axis)
    if metric is None or metric.value is None:
        reason = f"{axis} is missing or undefined; a floor is set for it"
        return GateCheck(name=name, candidate=None, margin=floor, passed=False, reason=reason)
    better = metric.greater_is_better
    reached = metric.value >= floor if better else metric.value <= floor
    words = "reaches" if reached else "does not reach"
    bound = "the floor" if better else "the ceiling"
    reason = f"{axis} {metric.value:.4f} {words} {bound} {floor:.4f} (n = {metric.n})"
    if metric.n < policy.min_rows:
        asked = f"the policy asks for {policy.min_rows} (gate.min_rows)"
        reason += f"; it rests on {counted(metric.n, 'row')}, {asked}"
    return GateCheck(
        name=name,
        candidate=metric.value,
        margin=floor,
        ci_low=metric.ci_low,
        ci_high=metric.ci_high,
        passed=reached and metric.n >= policy.min_rows,
        reason=reason,
    )


def ceilings(
    reports: Sequence[EvaluationReport],
    comparisons: Sequence[PairedComparison],
    costs: CostComparison | None,
    policy: GateParams,
) -> list[GateCheck]:
    """Return whether answers lost, latency and size stay below what the policy allows."""
    return [*_flips(reports, comparisons, policy), *_cost_checks(costs, policy)]


def _flips(
    reports: Sequence[EvaluationReport],
    comparisons: Sequence[PairedComparison],
    policy: GateParams,
) -> Iterator[GateCheck]:
    clean = clean_suite(reports)
    ceiling = policy.max_negative_flips
    if ceiling is None or clean is None:
        return
    for comparison in comparisons:
        if comparison.suite == clean.suite and comparison.churn is not None:
            lost = comparison.churn.negative_flips
            value = 1.0 if lost.value is None else lost.value
            words = "at most" if value <= ceiling else "more than"
            yield GateCheck(
                name=f"negative flips {clean.suite}",
                candidate=value,
                margin=ceiling,
                ci_low=lost.ci_low,
                ci_high=lost.ci_high,
                passed=value <= ceiling,
                reason=f"{clean.suite}: {value:.4f} of the rows only the champion has right, "
                f"{words} {ceiling:.4f}",
            )


def _cost_checks(costs: CostComparison | None, policy: GateParams) -> Iterator[GateCheck]:
    if costs is None:
        return
    if policy.max_latency_ratio is not None:
        yield _latency(costs, policy.max_latency_ratio)
    if policy.max_size_ratio is not None:
        yield _ratio("size", costs.size_ratio, policy.max_size_ratio)


def _latency(costs: CostComparison, ceiling: float) -> GateCheck:
    """Return whether the whole interval of the ratio lies at or below the ceiling."""
    low, high = costs.ratio_low, costs.ratio_high
    passed = high <= ceiling
    words = "at most" if passed else "more than" if low > ceiling else "perhaps more than"
    return GateCheck(
        name=LATENCY,
        candidate=costs.latency_ratio,
        margin=ceiling,
        ci_low=low,
        ci_high=high,
        passed=passed,
        reason=f"latency is {costs.latency_ratio:.2f} [{low:.2f}, {high:.2f}] times that of the "
        f"champion, {words} {ceiling:.2f} (gate.max_latency_ratio)",
    )


def _ratio(name: str, ratio: float, ceiling: float) -> GateCheck:
    passed = ratio <= ceiling
    words = "at most" if passed else "more than"
    return GateCheck(
        name=name,
        candidate=ratio,
        margin=ceiling,
        passed=passed,
        reason=f"{name} is {ratio:.2f} times that of the champion, {words} {ceiling:.2f}",
    )
