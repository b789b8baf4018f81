"""The report of a retrain says whether the window is fixed, and what it cost elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline_steps.gate_types import GateCheck, Repair, Verdict
from pipeline_steps.reporting.retrain_report import RetrainRecord, render_retrain


def record(**changes: Any) -> RetrainRecord:
    check = GateCheck(
        name="non-inferiority test/accuracy", candidate=0.945, champion=0.918, margin=0.03,
        ci_low=0.01, ci_high=0.04, passed=True, reason="r",
    )  # fmt: skip
    repair = Repair(
        verdict="FIXED", reason="a <gain> is shown", axis="window/accuracy", n=227, before=0.74,
        after=0.987, ci_low=0.193, ci_high=0.308, reference=0.945,
    )  # fmt: skip
    values: dict[str, Any] = {
        "model_name": "desk", "trigger": "retrain-1", "kind": "drift", "ticket": "drift-1",
        "admitted_at": "2026-11-26T03:21:28.063002+00:00", "reason": "463 new labelled rows",
        "learnt_from": "236", "n_window": 227, "dataset_digest": "abc", "champion": 1, "version": 2,
        "gate": Verdict.PROMOTE, "repair": repair, "elsewhere": (check,), "seconds": 20.0,
        "run_report": "/runs/r/report.html",
    }  # fmt: skip
    return RetrainRecord.model_validate({**values, **changes})


def test_before_and_after_stand_side_by_side() -> None:
    page = render_retrain(record())
    for text in ("FIXED", "0.740", "0.987", "+0.247", "[+0.193, +0.308]", "227", "ticket drift-1"):
        assert text in page
    assert "a &lt;gain&gt; is shown" in page
    assert "2026-11-26 03:21 UTC" in page


def test_what_it_cost_elsewhere_is_said() -> None:
    page = render_retrain(record())
    assert "test/accuracy" in page
    assert "+0.027" in page
    assert "What it cost elsewhere" not in render_retrain(record(elsewhere=()))


@pytest.mark.parametrize(
    ("gate", "words"),
    [(Verdict.PROMOTE, "Version 2 is the champion now"),
     (Verdict.HOLD, "The gate said HOLD: version 1 is still the champion")],
)  # fmt: skip
def test_who_is_champion_is_said(gate: Verdict, words: str) -> None:
    assert words in render_retrain(record(gate=gate))


def test_a_metric_that_is_undefined_is_said_to_be() -> None:
    nothing = Repair(
        verdict="NOT_FIXED", reason="r", axis="window/f1", n=0, before=None, after=None
    )
    assert "undefined" in render_retrain(record(repair=nothing))
