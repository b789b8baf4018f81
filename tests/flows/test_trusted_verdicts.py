"""A verdict is what the ledger holds, whatever lies on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gate_builders import report
from tiny_workspaces import make_workspace

from flows.commands.gate import regate
from flows.evidence import Evidence
from flows.judging import judge
from flows.registry_access import open_ledger, open_tracker
from flows.training_plan import TrainingPlan
from flows.workspace import Workspace
from pipeline_steps.errors import EvidenceError
from pipeline_steps.gate_types import GateDecision, Verdict
from pipeline_steps.registry.gate import Beside

PLAN = TrainingPlan(fingerprint="f" * 64, training_fingerprint="e" * 64, base_digest="b")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(make_workspace(tmp_path / "desk", tmp_path / "base"))


def evidence(workspace: Workspace) -> Evidence:
    return Evidence(
        candidate_digest="new",
        champion_digest=None,
        evaluate=workspace.params.evaluate,
        gate=workspace.params.gate,
        beside=Beside(),
        files={},
    )


def judge_a_bad_one(workspace: Workspace) -> GateDecision:
    bad = [report(accuracy=0.1)]
    return judge(workspace, PLAN, bad, None, Beside(), evidence(workspace))


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_decision_that_was_edited_on_disk_decides_nothing(workspace: Workspace) -> None:
    decided = judge_a_bad_one(workspace)
    assert decided.verdict is Verdict.REJECT
    file = workspace.run_directory(PLAN.fingerprint) / "decision.json"
    edit(file, verdict="PROMOTE")
    assert judge_a_bad_one(workspace) == decided
    assert json.loads(file.read_text())["verdict"] == "REJECT"
    edit(file.with_name("evidence.json"), candidate_digest="other")
    assert judge_a_bad_one(workspace) == decided
    assert [entry.event for entry in open_ledger(workspace).entries()] == ["gate_verdict"]


def test_a_verdict_that_no_ledger_holds_is_refused_however_well_its_pieces_fit(
    workspace: Workspace, tmp_path: Path
) -> None:
    content = {"tags": {}, "params": {}, "datasets": []}
    run = open_tracker(workspace).start_run(PLAN.fingerprint, name="r", **content)
    decided = judge_a_bad_one(workspace).model_copy(update={"verdict": Verdict.PROMOTE})
    folder = tmp_path / "forged"
    folder.mkdir()
    (folder / "evidence.json").write_text(evidence(workspace).model_dump_json())
    (folder / "decision.json").write_text(decided.model_dump_json())
    with pytest.raises(EvidenceError, match="is not what the ledger recorded"):
        regate(workspace, run, folder)
    other = open_tracker(workspace).start_run("d" * 64, name="r", **content)
    with pytest.raises(EvidenceError, match="the ledger holds no verdict on this candidate"):
        regate(workspace, other, folder)
