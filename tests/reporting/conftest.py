"""A record of a run whose every text from the data is hostile."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline_steps.evaluation_types import (
    ClassMetrics,
    EvaluationReport,
    MetricValue,
    SliceMetrics,
)
from pipeline_steps.gate_types import GateCheck, GateDecision, Verdict
from pipeline_steps.reporting.run_record import RunRecord
from pipeline_steps.types import Checkpoint, ExpectationFailure, Provenance, ValidationReport

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


@pytest.fixture
def record() -> RunRecord:
    accuracy = MetricValue(name="accuracy", value=0.91, n=100, ci_low=0.86, ci_high=0.96)
    undefined = MetricValue(name="nll", value=None, n=100, greater_is_better=False)
    part = SliceMetrics(column=EVIL, value=EVIL, n=30, metrics=(accuracy, accuracy))
    report = EvaluationReport(
        checkpoint_digest="c", dataset_digest="d", predictions_digest="p", suite=EVIL,
        kind="clean", n=100, metrics=(accuracy, undefined), slices=(part,), worst_slice=part,
        classes=(
            ClassMetrics(label=EVIL, precision=1, recall=0.5, f1=0.66, support=4),
            ClassMetrics(label="b_c", precision=0.5, recall=1, f1=0.66, support=12),
        ),
        confusion=((EVIL, "b_c", 3),), reliability=((0.9, 0.8, 60), (0.5, 0.5, 40)),
    )  # fmt: skip
    shifted = report.model_copy(update={"suite": "shift", "kind": "shift", "worst_slice": None})
    origin = Provenance(
        created_at="2026-01-01T00:00:00+00:00", holdfast_version="0", code_version="v",
        git_commit=None, git_dirty=None, lock_digest=None, python="3.11", platform="x",
    )  # fmt: skip
    checkpoint = Checkpoint(
        path=Path("ck"), digest="c", problem="text_classification", labels=("a", "b"),
        base_model=EVIL, base_digest="bd", parameters={"method": "full", EVIL: EVIL},
        train_digest="t", valid_digest="v", provenance=origin,
        training={"history": [{"step": 1, "accuracy": 0.5}, {"step": 2, "accuracy": 0.9}],
                  "n_parameters": 10_000, "n_trainable": 2_000},
    )  # fmt: skip
    checks = (
        GateCheck(
            name=f"floor {EVIL}", candidate=0.91, margin=0.5, ci_low=0.86, ci_high=0.96,
            passed=True, reason=EVIL,
        ),
        GateCheck(
            name=f"non-inferiority {EVIL}/accuracy", candidate=0.91, champion=0.88, margin=0.03,
            ci_low=-0.01, ci_high=0.07, passed=True, reason="not worse",
        ),
    )  # fmt: skip
    return RunRecord(
        model_name=EVIL, version=3, fingerprint="f", reports=(shifted, report),
        sizes={"train": 9, EVIL: 1},
        decision=GateDecision(
            verdict=Verdict.HOLD, reasons=(f"no gain {EVIL}",), candidate_digest="c",
            champion_digest="o", policy_digest="pd", checks=checks,
        ),
        validation=ValidationReport(
            dataset_digest="d", success=False, n_rows=10, n_kept=9, quarantined={EVIL: 1},
            blocked_because=(EVIL,),
            failures=(ExpectationFailure(expectation=EVIL, column="text", count=1,
                                         examples=(EVIL,)),),
        ),
        checkpoint=checkpoint,
    )  # fmt: skip
