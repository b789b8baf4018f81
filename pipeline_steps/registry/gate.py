"""The gate: a pure function of reports, comparisons and policy that fails closed.

It asks, in this order: are the pieces all there and about the same rows; does every floor hold;
is the candidate nowhere worse than its margin allows (non-inferiority); is it better where the
policy asks for it (superiority). Without a champion the floors alone decide.

Non-inferiority is read off the two-sided interval of the paired difference: at 95 % each axis is
a one-sided test at 2.5 %. Every axis must pass, so no correction is needed there. Each gain that
is called shown is so at ``alpha`` over all axes of superiority together (Holm 1979).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline_steps.digests import value_digest
from pipeline_steps.errors import counted
from pipeline_steps.judging_params import GateParams
from pipeline_steps.registry.gate_integrity import (
    find_difference,
    find_metric,
    integrity_check,
    non_inferiority_margins,
)
from pipeline_steps.types import (
    EvaluationReport,
    GateCheck,
    GateDecision,
    PairedComparison,
    PairedDifference,
    Verdict,
)

_SMALLEST_P = 0.0001


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
        alone decide (a policy without floors refuses a first version).
    policy : GateParams
        Floors, margins and the level of the tests.

    Returns
    -------
    GateDecision
        REJECT if a piece is missing or contradicts another, a floor is not reached, or the
        candidate is shown to be worse; HOLD if candidate and champion are the same checkpoint, or
        no gain is shown; INCONCLUSIVE if there are too few rows to tell; PROMOTE otherwise.

    Notes
    -----
    A suite is required if the policy names it, a report or a comparison is about it. A check of
    ``floors`` carries the interval of the metric, the others that of the difference.
    """
    integrity = integrity_check(reports, comparisons, policy)
    floors = [_floor(reports, axis, floor, policy) for axis, floor in policy.floors.items()]
    checks = [integrity, *floors]
    if not integrity.passed:
        verdict, reasons = Verdict.REJECT, [c.reason for c in checks if not c.passed]
    elif comparisons is None:
        verdict, reasons = _weigh_floors(reports, floors, policy)
    elif comparisons[0].candidate_digest == comparisons[0].champion_digest:
        verdict, reasons = Verdict.HOLD, ["candidate and champion are the same checkpoint"]
    else:
        inferiority = _non_inferiority(comparisons, policy)
        superiority = _superiority(comparisons, policy)
        checks += [*(test.check for test in inferiority), *superiority]
        verdict, reasons = _weigh_floors(reports, floors, policy)
        if verdict is Verdict.PROMOTE:
            verdict, reasons = _weigh(inferiority, superiority, comparisons, policy)
    return GateDecision(
        verdict=verdict,
        reasons=tuple(reasons),
        checks=tuple(checks),
        candidate_digest=reports[0].checkpoint_digest if reports else "",
        champion_digest=comparisons[0].champion_digest if comparisons else None,
        policy_digest=value_digest(policy.model_dump(mode="json")),
    )


@dataclass(frozen=True)
class _Test:
    """One axis of non-inferiority; gains are signed so that more is better."""

    axis: str
    n: int
    gain: float
    low: float
    high: float
    margin: float
    check: GateCheck

    @property
    def shown_worse(self) -> bool:
        return not self.check.passed and self.high < 0

    def rows_wanted(self) -> str:
        """Return about how many more rows would decide, if the difference stayed as it is.

        The width of the interval shrinks with the square root of the rows; it must come to lie
        above minus the margin, or below 0.
        """
        short = (self.gain - self.low) / (self.gain + self.margin or math.inf)
        long = (self.high - self.gain) / (-self.gain or math.inf)
        factors = [factor for factor in (short, long) if factor > 1]
        if not factors:
            return f"{self.axis}: more rows would not decide; the difference lies at the margin"
        more = round(self.n * (min(factors) ** 2 - 1))
        return f"{self.axis}: about {counted(max(more, 1), 'more row')} would decide"


def _floor(
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


def _weigh_floors(
    reports: Sequence[EvaluationReport], floors: Sequence[GateCheck], policy: GateParams
) -> tuple[Verdict, list[str]]:
    failed = [check for check in floors if not check.passed]
    if not failed:
        return Verdict.PROMOTE, ["first version: every floor is reached"]
    small = {f"floor {r.suite}/{m.name}" for r in reports for m in r.metrics if _few(m.n, policy)}
    verdict = Verdict.INCONCLUSIVE if all(c.name in small for c in failed) else Verdict.REJECT
    return verdict, [check.reason for check in failed]


def _non_inferiority(comparisons: Sequence[PairedComparison], policy: GateParams) -> list[_Test]:
    """Return whether the interval of each difference lies above minus its margin."""
    tests = []
    for axis, margin in non_inferiority_margins(comparisons, policy).items():
        found = find_difference(comparisons, axis)
        if found is not None:  # integrity has refused it otherwise
            tests.append(_non_inferiority_test(axis, found[1], margin))
    return tests


def _non_inferiority_test(axis: str, difference: PairedDifference, margin: float) -> _Test:
    d = difference
    ends = (d.difference, d.ci_low, d.ci_high)
    gain, low, high = ends if d.greater_is_better else (-ends[0], -ends[2], -ends[1])
    passed = low >= -margin
    words = "is shown to be worse" if high < 0 else "could be worse by more than the margin"
    words = "is not worse by more than the margin" if passed else words
    reason = f"{axis} {_with_interval(d)} {words}; margin {margin:.4f}"
    check = _difference_check(f"non-inferiority {axis}", d, margin, passed=passed, reason=reason)
    return _Test(axis, d.n, gain, low, high, margin, check)


def _superiority(comparisons: Sequence[PairedComparison], policy: GateParams) -> list[GateCheck]:
    """Return whether each axis of ``policy.superiority`` shows a gain, Holm-corrected."""
    found = {axis: find_difference(comparisons, axis) for axis in policy.superiority}
    tested = {axis: pair[1] for axis, pair in found.items() if pair is not None}
    shown = _holm({axis: _p_value(d) for axis, d in tested.items()}, policy.alpha)
    return [_superiority_check(axis, d, shown[axis]) for axis, d in tested.items()]


def _holm(p_values: dict[str, float], alpha: float) -> dict[str, bool]:
    """Return which hypotheses fall; after the first that stands, none does (Holm 1979)."""
    fallen = dict.fromkeys(p_values, False)
    for rank, axis in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        if not p_values[axis] <= alpha / (len(p_values) - rank):
            break
        fallen[axis] = True
    return fallen


def _superiority_check(axis: str, difference: PairedDifference, shown: bool) -> GateCheck:
    words = "a gain is shown" if shown else "no gain is shown"
    p_value = _p_value(difference)
    written = f"p = {p_value:.4f}" if p_value >= _SMALLEST_P else f"p < {_SMALLEST_P}"
    reason = f"{axis} {_with_interval(difference)}: {words} ({written})"
    return _difference_check(f"superiority {axis}", difference, None, passed=shown, reason=reason)


def _weigh(
    inferiority: Sequence[_Test],
    superiority: Sequence[GateCheck],
    comparisons: Sequence[PairedComparison],
    policy: GateParams,
) -> tuple[Verdict, list[str]]:
    worse = [test.check.reason for test in inferiority if test.shown_worse]
    if worse:
        return Verdict.REJECT, worse
    unsure = [test for test in inferiority if not test.check.passed]
    few = [c for c in comparisons if _few(c.n, policy)]
    if unsure or few:
        reasons = [test.check.reason for test in unsure] + [t.rows_wanted() for t in unsure]
        words = f"has fewer rows than the policy asks for ({policy.min_rows})"
        return Verdict.INCONCLUSIVE, [*reasons, *(f"{c.suite} {words}: {c.n}" for c in few)]
    missing = [check.reason for check in superiority if not check.passed]
    if missing:
        return Verdict.HOLD, missing
    gained = [check.reason for check in superiority]
    return Verdict.PROMOTE, gained or ["not worse anywhere, and the policy asks for no gain"]


def _few(n: int, policy: GateParams) -> bool:
    return n < policy.min_rows


def _p_value(difference: PairedDifference) -> float:
    return 1.0 if difference.p_value is None else difference.p_value


def _with_interval(difference: PairedDifference) -> str:
    d = difference
    return f"{d.difference:+.4f} [{d.ci_low:+.4f}, {d.ci_high:+.4f}]"


def _difference_check(
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
