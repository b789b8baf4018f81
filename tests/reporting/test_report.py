"""The report is one safe file: verdict first, data escaped, nothing fetched."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline_steps.reporting.report import RunRecord, render_report
from pipeline_steps.reporting.summary import summary
from pipeline_steps.types import (
    Checkpoint,
    ClassMetrics,
    EvaluationReport,
    ExpectationFailure,
    GateCheck,
    GateDecision,
    MetricValue,
    Provenance,
    SliceMetrics,
    ValidationReport,
    Verdict,
)

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def record() -> RunRecord:
    accuracy = MetricValue(name="accuracy", value=0.91, n=100, ci_low=0.86, ci_high=0.96)
    undefined = MetricValue(name="nll", value=None, n=100, greater_is_better=False)
    part = SliceMetrics(column="domain", value=EVIL, n=30, metrics=(accuracy, accuracy))
    report = EvaluationReport(
        checkpoint_digest="c", dataset_digest="d", predictions_digest="p", suite="test",
        kind="clean", n=100, metrics=(accuracy, undefined), slices=(part,), worst_slice=part,
        classes=(ClassMetrics(label=EVIL, precision=1, recall=0.5, f1=0.66, support=4),),
        confusion=((EVIL, "b", 3),), reliability=((0.9, 0.8, 60), (0.5, 0.5, 40)),
    )  # fmt: skip
    origin = Provenance(
        created_at="2026-01-01T00:00:00+00:00", holdfast_version="0", code_version="v",
        git_commit=None, git_dirty=None, lock_digest=None, python="3.11", platform="x",
    )  # fmt: skip
    checkpoint = Checkpoint(
        path=Path("ck"), digest="c", problem="text_classification", labels=("a", "b"),
        base_model="base", base_digest="bd", parameters={"method": "full", "seed": 0},
        train_digest="t", valid_digest="v", provenance=origin,
        training={"history": [{"step": 1, "accuracy": 0.5}, {"step": 2, "accuracy": 0.9}],
                  "n_parameters": 10, "n_trainable": 10},
    )  # fmt: skip
    return RunRecord(
        model_name="m", version=3, fingerprint="f", reports=(report,), sizes={"train": 9},
        decision=GateDecision(
            verdict=Verdict.HOLD, reasons=(f"no gain {EVIL}",), candidate_digest="c",
            champion_digest="o", policy_digest="pd",
            checks=(GateCheck(name="floor", candidate=0.9, passed=True, reason="reached"),),
        ),
        validation=ValidationReport(
            dataset_digest="d", success=True, n_rows=10, n_kept=9,
            failures=(ExpectationFailure(expectation="text_missing", column="text", count=1,
                                         examples=(EVIL,)),),
        ),
        checkpoint=checkpoint,
    )  # fmt: skip


def test_text_from_the_data_cannot_run_in_the_page(record) -> None:
    page = render_report(record)
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_the_page_fetches_nothing(record) -> None:
    assert not re.search(r"""(src|href)=|url\(|@import|https?://""", render_report(record))


def test_the_verdict_stands_before_the_numbers(record) -> None:
    page = render_report(record)
    assert page.index("HOLD") < page.index("Accuracy on each suite")
    assert page.index("no gain") < page.index("Accuracy on each suite")


def test_an_undefined_metric_is_called_undefined(record) -> None:
    assert "undefined" in render_report(record)


def test_the_terminal_summary_says_verdict_reasons_and_intervals(record) -> None:
    text = summary(record.reports, record.decision)
    assert text.startswith("Verdict: HOLD\n  - no gain")
    assert "0.910 [0.860, 0.960]" in text
    assert "worst slice of test: domain" in text
