"""Whether a retrain fixed the window that triggered it: the champion before against after."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline_steps.evaluation_types import EvaluationReport, MetricValue
from pipeline_steps.gate_types import Fixed, GateDecision, Repair, Verdict


def judge_repair(
    decision: GateDecision, reports: Sequence[EvaluationReport], axis: str, within: float
) -> Repair:
    """Return whether the window is fixed.

    FIXED: the candidate became champion, its gain on the held-back rows is shown, and it comes
    within ``within`` of its own value on the test set. IMPROVED: shown, but not so near. NOT_FIXED:
    the champion of before stays, whatever the candidate was.

    Parameters
    ----------
    decision : GateDecision
        Carries the paired difference on the window as a check of superiority.
    reports : sequence of EvaluationReport
        Of the candidate, with those of the window and of the test set.
    axis : str
        SUITE/METRIC of the window; the metric is one where more is better.
    within : float
        In the metric's unit.
    """
    suite, metric = axis.split("/")
    on_window, on_test = (_metric(reports, name, metric) for name in (suite, "test"))
    check = next((c for c in decision.checks if c.name == f"superiority {axis}"), None)
    promoted = decision.verdict is Verdict.PROMOTE
    shown = promoted and check is not None and check.passed
    after = None if on_window is None else on_window.value
    reference = None if on_test is None else on_test.value
    near = after is not None and reference is not None and after >= reference - within
    verdict: Fixed = "NOT_FIXED" if not shown else "FIXED" if near else "IMPROVED"
    return Repair(
        verdict=verdict,
        reason=_reason(verdict, decision, within),
        axis=axis,
        n=0 if on_window is None else on_window.n,
        before=None if check is None else check.champion,
        after=after,
        ci_low=None if check is None else check.ci_low,
        ci_high=None if check is None else check.ci_high,
        reference=reference,
    )


def _metric(reports: Sequence[EvaluationReport], suite: str, name: str) -> MetricValue | None:
    report = next((r for r in reports if r.suite == suite), None)
    return None if report is None else report.metric(name)


def _reason(verdict: Fixed, decision: GateDecision, within: float) -> str:
    if verdict == "FIXED":
        return f"a gain is shown, and the window is within {within:g} of the test set"
    if verdict == "IMPROVED":
        return f"a gain is shown, but the window is further than {within:g} from the test set"
    if decision.verdict is Verdict.PROMOTE:
        return "no gain on the window is shown"
    return f"{decision.verdict}, the champion stays: {'; '.join(decision.reasons)}"
