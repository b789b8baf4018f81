"""The gate: a pure function of reports, comparisons and policy that fails closed.

It asks, in this order: are the pieces all there and about the same rows; does every floor hold;
is the candidate nowhere worse than its margin allows (non-inferiority); is it better where the
policy asks for it (superiority, Holm 1979 over the axes). A piece that is missing is a refusal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeline_steps.digests import value_digest
from pipeline_steps.params import GateParams
from pipeline_steps.types import (
    EvaluationReport,
    GateCheck,
    GateDecision,
    PairedComparison,
    PairedDifference,
    Verdict,
)


def gate(
    reports: Sequence[EvaluationReport],
    comparisons: Sequence[PairedComparison] | None,
    policy: GateParams,
) -> GateDecision:
    """Return the verdict on a candidate.

    Parameters
    ----------
    reports : sequence of EvaluationReport
        The candidate's reports, one a suite.
    comparisons : sequence of PairedComparison or None
        Candidate against champion, one a suite; ``None``: there is no champion yet, and floors
        alone decide.
    policy : GateParams
        Floors, margins and the level of the tests.

    Returns
    -------
    GateDecision
        REJECT if a piece is missing, a floor is not reached or the candidate is worse than a
        margin allows; INCONCLUSIVE if too few rows can tell; HOLD if no gain is shown; PROMOTE
        otherwise.
    """
    integrity = _integrity_checks(reports, comparisons)
    floors = [_floor_check(reports, axis, floor, policy) for axis, floor in policy.floors.items()]
    refused = [check for check in (*integrity, *floors) if not check.passed]
    if refused or comparisons is None:
        verdict = Verdict.REJECT if refused else Verdict.PROMOTE
        reasons = [c.reason for c in refused] or ["first version: every floor is reached"]
        return _decision(verdict, reasons, [*integrity, *floors], reports, comparisons, policy)
    if comparisons[0].candidate_digest == comparisons[0].champion_digest:
        same = ["candidate and champion are the same checkpoint"]
        return _decision(Verdict.HOLD, same, [*integrity, *floors], reports, comparisons, policy)
    inferiority = [_non_inferiority_check(c, policy) for c in comparisons]
    superiority = _superiority_checks(comparisons, policy)
    verdict, reasons = _weigh(inferiority, superiority, comparisons, policy)
    checks = [*integrity, *floors, *inferiority, *superiority]
    return _decision(verdict, reasons, checks, reports, comparisons, policy)


def _integrity_checks(
    reports: Sequence[EvaluationReport], comparisons: Sequence[PairedComparison] | None
) -> list[GateCheck]:
    """Return whether the reports are about one candidate, and the comparisons about the same."""
    problems = []
    if not reports:
        problems.append("there is no evaluation report")
    if len({report.checkpoint_digest for report in reports}) > 1:
        problems.append("the reports are about different checkpoints")
    if len({report.suite for report in reports}) < len(reports):
        problems.append("a suite was reported twice")
    if comparisons is not None:
        problems += _comparison_problems(reports, comparisons)
    return [
        GateCheck(
            name="integrity",
            candidate=None,
            passed=not problems,
            reason="; ".join(problems) or "all reports are there and about the same rows",
        )
    ]


def _comparison_problems(
    reports: Sequence[EvaluationReport], comparisons: Sequence[PairedComparison]
) -> list[str]:
    compared = {comparison.suite: comparison for comparison in comparisons}
    problems = []
    if len({comparison.champion_digest for comparison in comparisons}) > 1:
        problems.append("the comparisons are about different champions")
    for report in reports:
        comparison = compared.pop(report.suite, None)
        if comparison is None:
            problems.append(f"the champion was not scored on {report.suite}")
        elif (comparison.dataset_digest, comparison.candidate_digest, comparison.n) != (
            report.dataset_digest,
            report.checkpoint_digest,
            report.n,
        ):
            problems.append(f"the champion was scored on other rows of {report.suite}")
    return problems + [f"{suite} was compared but not reported" for suite in compared]


def _floor_check(
    reports: Sequence[EvaluationReport], axis: str, floor: float, policy: GateParams
) -> GateCheck:
    """Return whether the point estimate reaches the floor (a ceiling where less is better)."""
    suite, _, name = axis.rpartition("/")
    report = next((report for report in reports if report.suite == suite), None)
    metric = None if report is None else report.metric(name)
    if metric is None or metric.value is None or not math.isfinite(metric.value):
        reason = f"{axis} is missing or undefined; a floor was set for it"
        return GateCheck(name=f"floor {axis}", candidate=None, passed=False, reason=reason)
    reached = metric.value >= floor if metric.greater_is_better else metric.value <= floor
    enough = metric.n >= policy.min_rows
    relation = "reaches" if reached else "does not reach"
    reason = f"{axis} {metric.value:.4f} {relation} {floor:.4f} (n = {metric.n})"
    if not enough:
        reason = f"{axis} rests on {metric.n} rows; the policy asks for {policy.min_rows}"
    return GateCheck(
        name=f"floor {axis}",
        candidate=metric.value,
        margin=floor,
        ci_low=metric.ci_low,
        ci_high=metric.ci_high,
        passed=reached and enough,
        reason=reason,
    )


def _non_inferiority_check(comparison: PairedComparison, policy: GateParams) -> GateCheck:
    """Return whether the interval of the accuracy difference lies above minus the margin."""
    axis = f"{comparison.suite}/accuracy"
    margin = policy.non_inferiority.get(axis, policy.default_margin)
    difference = _difference(comparison, "accuracy")
    if difference is None:
        reason = f"{axis} was not compared"
        return GateCheck(
            name=f"non-inferiority {axis}", candidate=None, passed=False, reason=reason
        )
    passed = difference.ci_low >= -margin
    words = "is not worse by more than" if passed else "could be worse by more than"
    return _check(
        f"non-inferiority {axis}",
        difference,
        margin,
        passed=passed,
        reason=f"{axis} {difference.difference:+.4f} "
        f"[{difference.ci_low:+.4f}, {difference.ci_high:+.4f}] {words} {margin:.4f}",
    )


def _superiority_checks(
    comparisons: Sequence[PairedComparison], policy: GateParams
) -> list[GateCheck]:
    """Return whether each axis of ``policy.superiority`` shows a gain, Holm-corrected."""
    found = {axis: _axis_difference(comparisons, axis) for axis in policy.superiority}
    thresholds = _holm_thresholds(found, policy.alpha)
    return [_superiority_check(axis, found[axis], thresholds[axis]) for axis in policy.superiority]


def _holm_thresholds(found: dict[str, PairedDifference | None], alpha: float) -> dict[str, float]:
    """Return the level that each axis must reach; after the first failure nothing passes."""
    thresholds = dict.fromkeys(found, 0.0)
    tested = [(d.p_value, axis) for axis, d in found.items() if d and d.p_value is not None]
    for rank, (p_value, axis) in enumerate(sorted(tested)):
        level = alpha / (len(found) - rank)
        if p_value > level:
            break
        thresholds[axis] = level
    return thresholds


def _superiority_check(
    axis: str, difference: PairedDifference | None, threshold: float
) -> GateCheck:
    name = f"superiority {axis}"
    if difference is None or difference.p_value is None:
        return GateCheck(name=name, candidate=None, passed=False, reason=f"{axis} was not compared")
    passed = difference.p_value <= threshold
    words = "a gain is shown" if passed else "no gain is shown"
    reason = f"{axis} {difference.difference:+.4f}: {words} (p = {difference.p_value:.4f})"
    return _check(name, difference, None, passed=passed, reason=reason)


def _weigh(
    inferiority: Sequence[GateCheck],
    superiority: Sequence[GateCheck],
    comparisons: Sequence[PairedComparison],
    policy: GateParams,
) -> tuple[Verdict, list[str]]:
    worse = [check for check in inferiority if _surely_worse(check)]
    unsure = [check for check in inferiority if not check.passed and not _surely_worse(check)]
    gained = [check.reason for check in superiority if check.passed]
    missing = [check for check in superiority if not check.passed]
    if worse:
        return Verdict.REJECT, [check.reason for check in worse]
    if unsure:
        more = [_more_rows(check, comparisons) for check in unsure]
        return Verdict.INCONCLUSIVE, [*(check.reason for check in unsure), *more]
    small = [c.suite for c in comparisons if c.n < policy.min_rows]
    if small:
        words = f"{', '.join(small)}: fewer than {policy.min_rows} rows"
        return Verdict.INCONCLUSIVE, [words]
    if missing:
        return Verdict.HOLD, [check.reason for check in missing]
    return Verdict.PROMOTE, gained or ["not worse anywhere, and the policy asks for no gain"]


def _surely_worse(check: GateCheck) -> bool:
    """Return whether a non-inferiority check failed beyond doubt, or could not be made."""
    if check.passed:
        return False
    if check.candidate is None or check.champion is None or check.ci_high is None:
        return True
    margin = check.margin or 0.0
    return check.ci_high < 0 or check.candidate - check.champion < -margin


def _more_rows(check: GateCheck, comparisons: Sequence[PairedComparison]) -> str:
    """Return about how many more rows would bring the interval inside the margin.

    The half-width of the interval shrinks with the square root of the rows.
    """
    suite = check.name.removeprefix("non-inferiority ").removesuffix("/accuracy")
    n = next(comparison.n for comparison in comparisons if comparison.suite == suite)
    difference = (check.candidate or 0.0) - (check.champion or 0.0)
    half_width = difference - (check.ci_low or 0.0)
    room = difference + (check.margin or 0.0)
    if room <= 0 or half_width <= 0:
        return f"{suite}: more rows would not decide; the difference is at the margin"
    more = math.ceil(n * (half_width / room) ** 2) - n
    return f"{suite}: about {max(more, 1)} more rows would decide"


def _check(
    name: str, difference: PairedDifference, margin: float | None, *, passed: bool, reason: str
) -> GateCheck:
    return GateCheck(
        name=name,
        candidate=difference.candidate,
        champion=difference.champion,
        margin=margin,
        ci_low=difference.ci_low,
        ci_high=difference.ci_high,
        passed=passed,
        reason=reason,
    )


def _axis_difference(comparisons: Sequence[PairedComparison], axis: str) -> PairedDifference | None:
    suite, _, name = axis.rpartition("/")
    comparison = next((c for c in comparisons if c.suite == suite), None)
    return None if comparison is None else _difference(comparison, name)


def _difference(comparison: PairedComparison, name: str) -> PairedDifference | None:
    found = next((d for d in comparison.differences if d.name == name), None)
    if found is None or not all(
        math.isfinite(value) for value in (found.difference, found.ci_low, found.ci_high)
    ):
        return None
    return found


def _decision(
    verdict: Verdict,
    reasons: Sequence[str],
    checks: Sequence[GateCheck],
    reports: Sequence[EvaluationReport],
    comparisons: Sequence[PairedComparison] | None,
    policy: GateParams,
) -> GateDecision:
    return GateDecision(
        verdict=verdict,
        reasons=tuple(reasons),
        checks=tuple(checks),
        candidate_digest=reports[0].checkpoint_digest if reports else "",
        champion_digest=comparisons[0].champion_digest if comparisons else None,
        policy_digest=value_digest(policy.model_dump(mode="json")),
    )
