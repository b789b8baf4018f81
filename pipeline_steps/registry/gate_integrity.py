"""Is everything there that the gate needs, and about the same rows? What is missing is named."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pipeline_steps.judging_params import GateParams
from pipeline_steps.types import (
    EvaluationReport,
    GateCheck,
    MetricValue,
    PairedComparison,
    PairedDifference,
)

_ROUNDING = 1e-9


def integrity_check(
    reports: Sequence[EvaluationReport],
    comparisons: Sequence[PairedComparison] | None,
    policy: GateParams,
) -> GateCheck:
    """Return whether reports and comparisons are whole, coherent and cover the policy's axes."""
    problems = [*_report_problems(reports), *_policy_problems(reports, policy)]
    if comparisons is not None:
        problems += _comparison_problems(reports, comparisons)
        problems += _uncompared_axes(comparisons, policy)
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


def find_metric(reports: Sequence[EvaluationReport], axis: str) -> MetricValue | None:
    """Return the metric of an axis ``suite/metric``, or ``None`` where it is missing."""
    suite, _, name = axis.rpartition("/")
    report = next((report for report in reports if report.suite == suite), None)
    return None if report is None else report.metric(name)


def find_difference(
    comparisons: Sequence[PairedComparison], axis: str
) -> tuple[PairedComparison, PairedDifference] | None:
    """Return the paired difference of an axis ``suite/metric``, or ``None`` where it is missing."""
    suite, _, name = axis.rpartition("/")
    for comparison in comparisons:
        for difference in comparison.differences:
            if comparison.suite == suite and difference.name == name:
                return comparison, difference
    return None


def non_inferiority_margins(
    comparisons: Sequence[PairedComparison], policy: GateParams
) -> dict[str, float]:
    """Return the margin of each axis: the headline of every suite, and what the policy adds."""
    defaults = {f"{c.suite}/{c.headline}": policy.default_margin for c in comparisons}
    return defaults | policy.non_inferiority


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
    for axis in sorted({*policy.floors, *policy.superiority, *policy.non_inferiority}):
        metric = find_metric(reports, axis)
        if metric is None:
            yield f"{axis} is missing; the policy names it"
        elif metric.value is None or not math.isfinite(metric.value):
            yield f"{axis} is undefined; the policy names it"


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
    if (comparison.dataset_digest, comparison.n) != (report.dataset_digest, report.n):
        yield f"the champion was scored on other rows of {report.suite}"
    for difference in comparison.differences:
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


def _uncompared_axes(comparisons: Sequence[PairedComparison], policy: GateParams) -> Iterator[str]:
    margins = non_inferiority_margins(comparisons, policy)
    for axis in sorted({*margins, *policy.superiority}):
        found = find_difference(comparisons, axis)
        if found is None:
            yield f"{axis} was not compared with the champion"
        elif axis in policy.superiority and found[1].p_value is None:
            yield f"the gain in {axis} was not tested"
