"""``holdfast judge``: a registered version on what is known today, and nothing trained anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_workspaces import change_params, make_workspace
from warm_commands import WarmCommands

from flows.registry_access import open_ledger
from flows.retraining.version_policy import version_policy
from flows.workspace import Workspace
from pipeline_steps.data_params import SourceParams
from pipeline_steps.data_preparation.additions import ensure_additions, write_additions
from pipeline_steps.errors import EvidenceError
from pipeline_steps.registry.retrain_history import FINISHED

Trained = tuple[Path, dict[str, Any]]


def judge(holdfast: WarmCommands, root: Path, *words: str, **settings: Any) -> dict[str, Any]:
    ended = holdfast(
        "judge", *words, "--json", cwd=root, **{"skip": ["reproduce_data"], **settings}
    )
    assert ended.code == 0, ended.stderr
    return dict(ended.printed)


def checkpoints(root: Path) -> dict[str, int]:
    """Return when the weights of each checkpoint of the workspace were written."""
    weights = (root / ".holdfast/checkpoints").glob("*/model.safetensors")
    return {path.parent.name: path.stat().st_mtime_ns for path in weights}


def test_a_version_about_which_nothing_is_new_has_its_verdict(
    holdfast: WarmCommands, trained: Trained
) -> None:
    """Also where params.yaml would train another one by now."""
    root, first = trained
    change_params(root, finetune={"seed": 9})
    before = holdfast.records(root)
    found = judge(holdfast, root, "1")
    assert found == {**first, "reused": True, "seconds": found["seconds"]}
    assert holdfast.records(root) == before


def test_a_version_is_judged_by_the_policy_of_today_and_not_trained_anew(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, first = trained
    weights = checkpoints(root)
    change_params(root, finetune={"seed": 9}, gate={"floors": {"test/accuracy": 0.99}})
    found = judge(holdfast, root, "1")
    assert (found["version"], found["verdict"], found["reused"]) == (
        1,
        "HOLD",
        False,
    )  # the champion
    assert found["metrics"] == first["metrics"]
    assert checkpoints(root) == weights
    records = holdfast.records(root)
    assert records["versions"].keys() == {"1"}
    assert records["runs"][0]["params"]["finetune.seed"] == "0"  # its own, not that of today
    assert holdfast("gate", "--candidate", "1", cwd=root).code == 10
    said = holdfast("judge", "1", cwd=root, skip=["reproduce_data"]).stdout
    assert said.startswith("nothing to do: this run was finished before")


@pytest.mark.slow
def test_a_version_of_earlier_rows_is_judged_on_those_of_today(
    holdfast: WarmCommands, trained: Trained
) -> None:
    """Its record names what it learnt from, though that lies nowhere any more."""
    root, _ = trained
    [made] = holdfast.records(root)["runs"]
    learnt, lock = made["inputs"], made["tags"]["dvc.lock.sha256"]
    raw = root / "data/raw/train.jsonl"
    raw.write_text("".join(raw.read_text().splitlines(keepends=True)[:-40]))
    found = judge(holdfast, root, "1", skip=[])
    assert (found["version"], found["reused"]) == (1, False)
    inputs = holdfast.records(root)["runs"][0]["inputs"]
    assert inputs["train"] == learnt["train"]
    assert inputs["test"] != learnt["test"]
    card = (Path(found["report"]).parent / "model_card.md").read_text(encoding="utf-8")
    assert learnt["train"] in card
    assert lock in card


@pytest.mark.slow
def test_what_passes_is_promoted_unless_that_is_left_out(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, _ = trained
    learns = {"epochs": 8, "learning_rate": 2e-2, "batch_tokens": 128}
    change_params(root, finetune=learns)
    holdfast("train", "--no-promote", cwd=root, skip=["reproduce_data"])
    change_params(root, gate={"floors": {"test/accuracy": 0.2}})
    found = judge(holdfast, root, "2", "--no-promote")
    assert (found["verdict"], found["reused"]) == ("PROMOTE", False)
    assert holdfast.records(root)["aliases"] == {"champion": 1, "challenger": 2}
    change_params(root, gate={"floors": {"test/accuracy": 0.4}})
    assert judge(holdfast, root, "2")["verdict"] == "PROMOTE"
    records = holdfast.records(root)
    assert (records["aliases"], records["problems"]) == ({"champion": 2, "previous": 1}, [])


def test_a_version_that_is_not_there_is_refused(holdfast: WarmCommands, trained: Trained) -> None:
    refused = holdfast("judge", "7", cwd=trained[0])
    assert (refused.code, refused.stdout) == (5, "")
    assert "there is no version 7" in refused.stderr


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Return a workspace whose second version came of the first of two retrains."""
    found = Workspace.open(make_workspace(tmp_path / "desk", tmp_path / "base"))
    open_ledger(found).append(
        FINISHED,
        model_name=found.params.register_.model_name,
        actor="ada",
        reason="FIXED",
        evidence={"trigger": "retrain-a", "version": 2},
    )
    ensure_additions(found.root)
    return found


def add_windows(workspace: Workspace, **suites: str) -> None:
    """Let the windows of retrains be suites."""
    write_additions(
        workspace.root,
        tuple(
            SourceParams(path=f"data/additions/retrain-{name}/window.jsonl", role=f"suite:{suite}")
            for name, suite in suites.items()
        ),
    )


def test_a_version_of_a_retrain_owes_a_gain_on_the_window_that_asked_for_it(
    workspace: Workspace,
) -> None:
    add_windows(workspace, a="window")
    assert version_policy(workspace, 1) == workspace.params.gate
    policy = version_policy(workspace, 2)
    assert (policy.superiority, policy.looks) == (("window/accuracy",), 4)
    assert policy.floors == workspace.params.gate.floors
    add_windows(workspace, a="earlier_retrain-a", b="window")
    assert version_policy(workspace, 2).superiority == ("earlier_retrain-a/accuracy",)


def test_without_its_window_a_version_of_a_retrain_is_not_judged(workspace: Workspace) -> None:
    add_windows(workspace, b="window")
    with pytest.raises(EvidenceError, match=r"the window of retrain-a, .* is no suite any more"):
        version_policy(workspace, 2)
