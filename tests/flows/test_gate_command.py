"""``holdfast gate``: a verdict is recomputed from what it rests on, or refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_workspaces import change_params
from warm_commands import WarmCommands

from flows.commands.gate import run_of
from flows.workspace import Workspace

Trained = tuple[Path, dict[str, Any]]
WITHOUT_DVC = {"skip": ["reproduce_data"]}


def gate(holdfast: WarmCommands, root: Path, *arguments: str) -> Any:
    return holdfast("gate", "--candidate", *arguments, cwd=root)


def test_a_first_version_is_recomputed_and_exits_with_0(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, result = trained
    ended = gate(holdfast, root, "1", "--json", "--summary", "table.md")
    assert ended.code == 0, ended.stderr
    found = ended.printed
    assert (found["verdict"], found["recorded_verdict"]) == ("PROMOTE", "PROMOTE")
    assert found["same_policy"] is True
    assert found["fingerprint"] == result["fingerprint"]
    assert found["decision"]["predictions"].keys() >= {"candidate/test", "candidate/typos"}
    assert found["changes"] == []
    assert (root / "table.md").read_text().startswith("## PROMOTE")


def test_a_version_an_alias_and_a_run_name_the_same_candidate(trained: Trained) -> None:
    root, _ = trained
    workspace = Workspace.open(root)
    run = run_of(workspace, "1")
    names = ("models:/workspace/1", "models:/workspace@champion", f"runs:/{run}", run)
    assert {run_of(workspace, name) for name in names} == {run}


def test_another_policy_gives_another_verdict_and_says_so(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, _ = trained
    change_params(root, gate={"floors": {"test/accuracy": 0.99}})
    ended = gate(holdfast, root, "1", "--json")
    assert ended.code == 11
    assert (ended.printed["verdict"], ended.printed["same_policy"]) == ("REJECT", False)
    [change] = ended.printed["changes"]
    assert change.startswith("gate.floors: {")
    assert change.endswith('-> {"test/accuracy": 0.99}')


def test_predictions_that_were_changed_are_found_and_refused(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, _ = trained
    [file] = (root / ".holdfast/predictions").glob("*-test.parquet")
    whole = file.read_bytes()
    file.write_bytes(whole + b"\0")
    refused = gate(holdfast, root, "1", "--json")
    assert (refused.code, refused.stdout) == (6, "")
    assert "its content was changed" in refused.stderr
    file.unlink()
    gone = gate(holdfast, root, "1")
    assert gone.code == 6
    assert "are nowhere" in gone.stderr


def test_evidence_is_fetched_from_the_record_where_nothing_is_left_here(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, _ = trained
    for directory in ("predictions", "runs"):
        shutil.rmtree(root / ".holdfast" / directory)
    assert gate(holdfast, root, "1").code == 0


@pytest.mark.parametrize("name", ["evidence.json", "decision.json"])
def test_evidence_other_than_the_ledger_recorded_is_refused(
    holdfast: WarmCommands, trained: Trained, name: str
) -> None:
    root, result = trained
    file = root / ".holdfast/runs" / result["fingerprint"][:16] / name
    content = json.loads(file.read_text())
    if name == "evidence.json":
        content["evaluate"]["confidence"] = 0.6
    else:
        content["verdict"] = "HOLD"
    file.write_text(json.dumps(content))
    refused = gate(holdfast, root, "1")
    assert refused.code == 6
    assert "is not what the ledger recorded" in refused.stderr


@pytest.mark.slow
def test_a_hold_exits_with_10_and_its_evidence_travels_in_a_folder(
    holdfast: WarmCommands, trained: Trained, tmp_path: Path
) -> None:
    root, _ = trained
    change_params(root, finetune={"seed": 1}, gate={"default_margin": 0.5})
    trained_again = holdfast("train", "--json", cwd=root, **WITHOUT_DVC)
    assert trained_again.printed["verdict"] == "HOLD"
    run = root / ".holdfast/runs" / trained_again.printed["fingerprint"][:16]
    ended = gate(holdfast, root, "models:/workspace@challenger", "--json")
    assert ended.code == 10, ended.stderr
    decision = ended.printed["decision"]
    assert decision == json.loads((run / "decision.json").read_text())
    folder = tmp_path / "committed"
    folder.mkdir()
    for name in ("evidence.json", "decision.json"):
        shutil.copy(run / name, folder)
    for file in (root / ".holdfast/predictions").glob("*.parquet"):
        shutil.copy(file, folder)
    shutil.rmtree(root / ".holdfast/predictions")
    assert gate(holdfast, root, "2", "--evidence", str(folder)).code == 10


def test_what_is_no_candidate_is_refused(holdfast: WarmCommands, trained: Trained) -> None:
    root, _ = trained
    refused = gate(holdfast, root, "best one")
    assert refused.code == 2
    assert "'best one' names no candidate" in refused.stderr
    missing = gate(holdfast, root, "models:/workspace@challenger")
    assert missing.code == 5
    assert "has the alias challenger" in missing.stderr
