"""Whether a retrain fixed its window: only a shown gain that was promoted, and comes near."""

from __future__ import annotations

import pytest
from gate_builders import report

from pipeline_steps.gate_types import GateCheck, GateDecision, Verdict
from pipeline_steps.registry.repair import judge_repair


def decision(verdict: Verdict, *, shown: bool = True) -> GateDecision:
    check = GateCheck(
        name="superiority window/accuracy", candidate=0.9, champion=0.5, ci_low=0.2, ci_high=0.6,
        passed=shown, reason="r",
    )  # fmt: skip
    return GateDecision(
        verdict=verdict, reasons=("why",), checks=(check,), candidate_digest="c",
        champion_digest="d", policy_digest="p",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "shown", "on_window", "expected"),
    [
        (Verdict.PROMOTE, True, 0.93, "FIXED"),
        (Verdict.PROMOTE, True, 0.80, "IMPROVED"),
        (Verdict.PROMOTE, False, 0.93, "NOT_FIXED"),
        (Verdict.HOLD, True, 0.93, "NOT_FIXED"),
        (Verdict.REJECT, True, 0.93, "NOT_FIXED"),
        (Verdict.INCONCLUSIVE, True, 0.93, "NOT_FIXED"),
    ],
)
def test_the_verdict_follows_from_gain_promotion_and_nearness(
    verdict: Verdict, on_window: float, expected: str, *, shown: bool
) -> None:
    reports = [report("test", accuracy=0.95), report("window", accuracy=on_window)]
    found = judge_repair(decision(verdict, shown=shown), reports, "window/accuracy", 0.05)
    assert found.verdict == expected
    assert (found.before, found.after, found.reference) == (0.5, on_window, 0.95)
    if verdict is not Verdict.PROMOTE:
        assert found.reason == f"{verdict}, the champion stays: why"


def test_without_a_report_of_the_window_nothing_is_fixed() -> None:
    found = judge_repair(
        decision(Verdict.PROMOTE, shown=False), [report("test", accuracy=0.95)], "window/f1", 0.05
    )
    assert (found.verdict, found.after, found.n) == ("NOT_FIXED", None, 0)
