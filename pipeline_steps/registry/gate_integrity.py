"""Is everything there that the gate needs, and about the same rows? What is missing is named."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pipeline_steps.comparison_types import CostComparison, PairedComparison, PairedDifference
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.gate_types import GateCheck
from pipeline_steps.judging_params import GateParams
from pipeline_steps.registry.gate_axes import (
    CALIBRATION,
    HEADLINE,
    clean_suite,
    find_difference,
    find_metric,
    gain_axes,
    non_inferiority_margins,
    wanted_out_of_scope,
)
from pipeline_steps.types import UNCOMPARED

_ROUNDING = 1e-9


def integrity_check(
    reports: Sequence[EvaluationReport],
    comparisons: Sequence[PairedComparison] | None,
    policy: GateParams,
    costs: CostComparison | None = None,
) -> GateCheck:
    """Return whether reports and comparisons are whole, coherent and cover the policy's axes."""
    problems = [*_report_problems(reports), *_policy_problems(reports, policy)]
    if comparisons is not None:
        problems += _comparison_problems(reports, comparisons)
        problems += _uncompared_axes(reports, comparisons, policy)
        problems += _unmeasured(reports, comparisons, policy, costs)
    elif not policy.floors:
        problems.append(
            "the policy sets no floor (gate.floors), and without a champion nothing else "
            "would judge the first version"
        )
    return GateCheck(
        name="integrity",
        candidate=None,
        passed=not problems,
        reason="; ".join(problems) or "all reports are there and about the same rows",
    )


def _report_problems(reports: Sequence[EvaluationReport]) -> Iterator[str]:
    if not reports:
        yield "there is no evaluation report"
    if any(not report.checkpoint_digest or not report.dataset_digest for report in reports):
        yield "a report does not say which checkpoint or dataset it is about"
    if len({report.checkpoint_digest for report in reports}) > 1:
        yield "the reports are about different checkpoints"
    if len({report.suite for report in reports}) < len(reports):
        yield "a suite was reported twice"


def _policy_problems(reports: Sequence[EvaluationReport], policy: GateParams) -> Iterator[str]:
    """Yield each axis that the policy names and the reports cannot answer."""
    named = [axis for axis in policy.superiority if not _is_pattern(axis)]
    for axis in sorted({*policy.floors, *named, *policy.non_inferiority}):
        metric = find_metric(reports, axis)
        if metric is None:
            yield f"{axis} is missing; the policy names it"
        elif metric.value is None or not math.isfinite(metric.value):
            yield f"{axis} is undefined; the policy names it"


def _is_pattern(axis: str) -> bool:
    suites, _, metric = axis.rpartition("/")
    return metric == HEADLINE or any(sign in suites for sign in "*?[")


def _comparison_problems(
    reports: Sequence[EvaluationReport], comparisons: Sequence[PairedComparison]
) -> Iterator[str]:
    if any(not comparison.champion_digest for comparison in comparisons):
        yield "a comparison does not say which champion it is about"
    if len({comparison.champion_digest for comparison in comparisons}) > 1:
        yield "the comparisons are about different champions"
    if len({comparison.suite for comparison in comparisons}) < len(comparisons):
        yield "a suite was compared twice"
    compared = {comparison.suite: comparison for comparison in comparisons}
    for report in reports:
        comparison = compared.pop(report.suite, None)
        if comparison is None and report.kind in UNCOMPARED:
            continue
        if comparison is None:
            yield f"the champion was not scored on {report.suite}"
        else:
            yield from _contradictions(report, comparison)
    for suite in compared:
        yield f"{suite} was compared but not reported"


def _contradictions(report: EvaluationReport, comparison: PairedComparison) -> Iterator[str]:
    """Yield what a report and the comparison of the same suite do not agree on."""
    if comparison.candidate_digest != report.checkpoint_digest:
        yield f"on {report.suite} another checkpoint was compared than reported"
    if comparison.candidate_predictions not in ("", report.predictions_digest):
        yield f"on {report.suite} other predictions were compared than reported"
    if comparison.candidate_code != comparison.champion_code:
        yield f"the champion's scores on {report.suite} are stale: other code predicted them"
    if (comparison.dataset_digest, comparison.n) != (report.dataset_digest, report.n):
        yield f"the champion was scored on other rows of {report.suite}"
    for difference in comparison.every_difference:
        axis = f"{report.suite}/{difference.name}"
        metric = report.metric(difference.name)
        if not _is_coherent(difference) or difference.n != comparison.n:
            yield f"the comparison of {axis} is not a number with its interval"
        elif metric is None or metric.value is None:
            yield f"{axis} was compared but not reported"
        elif (
            not abs(metric.value - difference.candidate) <= _ROUNDING  # NaN is no agreement
            or metric.greater_is_better != difference.greater_is_better
        ):
            yield f"{axis} differs between report and comparison"


def _is_coherent(difference: PairedDifference) -> bool:
    """Return whether the numbers are finite and say the same; NaN fails every comparison."""
    gap = difference.candidate - difference.champion
    p_value = 0.0 if difference.p_value is None else difference.p_value
    return (
        abs(gap - difference.difference) <= _ROUNDING
        and math.isfinite(difference.ci_low)
        and math.isfinite(difference.ci_high)
        and difference.ci_low - _ROUNDING <= gap <= difference.ci_high + _ROUNDING
        and 0.0 <= p_value <= 1.0
    )


def _uncompared_axes(
    reports: Sequence[EvaluationReport],
    comparisons: Sequence[PairedComparison],
    policy: GateParams,
) -> Iterator[str]:
    margins = non_inferiority_margins(reports, comparisons, policy)
    wanted = gain_axes(comparisons, policy)
    for axis in sorted({*margins, *wanted}):
        found = find_difference(comparisons, axis)
        if found is None and axis in wanted and _is_pattern(axis):
            yield f"no suite fits {axis}; the policy asks for a gain there"
        elif found is None:
            yield f"{axis} was not compared with the champion"
        elif axis in wanted and found[1].p_value is None:
            yield f"the gain in {axis} was not tested"


def _unmeasured(
    reports: Sequence[EvaluationReport],
    comparisons: Sequence[PairedComparison],
    policy: GateParams,
    costs: CostComparison | None,
) -> Iterator[str]:
    """Yield what the policy bounds and nobody measured, or not of these two checkpoints."""
    compared = {comparison.suite: comparison for comparison in comparisons}
    for report in wanted_out_of_scope(reports, policy):
        if report.suite not in compared:
            yield f"the champion was not scored on {report.suite}"
    clean = clean_suite(reports)
    if policy.max_negative_flips is not None and (
        clean is None or clean.suite not in compared or compared[clean.suite].churn is None
    ):
        yield "negative flips were not counted; the policy bounds them (gate.max_negative_flips)"
    if policy.calibration_margin is not None and (
        clean is None or clean.metric(CALIBRATION) is None
    ):
        yield (
            "the calibration error of clean rows was not measured; the policy has a margin for it "
            "(gate.calibration_margin)"
        )
    same = any(c.candidate_digest == c.champion_digest for c in comparisons)
    if (policy.max_latency_ratio or policy.max_size_ratio) and not same:
        yield from _cost_problems(comparisons, costs)


def _cost_problems(
    comparisons: Sequence[PairedComparison], costs: CostComparison | None
) -> Iterator[str]:
    if costs is None:
        yield "latency and size were not measured; the policy bounds them"
        return
    pair = (costs.candidate.checkpoint_digest, costs.champion.checkpoint_digest)
    if any((c.candidate_digest, c.champion_digest) != pair for c in comparisons):
        yield "latency and size are those of other checkpoints"
    ratios = (costs.ratio_low, costs.latency_ratio, costs.ratio_high)
    if not (costs.n and all(map(math.isfinite, ratios)) and costs.champion.size_bytes):
        yield "latency and size are not numbers"
