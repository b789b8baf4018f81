"""The retrain: labelled rows to a dataset version, a judged candidate, and whether it helped."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders import write_jsonl
from tiny_workspaces import change_params, make_workspace, shifted_rows
from warm_commands import WarmCommands

from flows.registry_access import open_ledger, open_tracker
from flows.retrain import retrain as run_trigger
from flows.retraining.dataset_version import add_dataset_version
from flows.retraining.material import Material, retrain_params
from flows.retraining.triggers import Trigger
from flows.shadow_evidence import record_shadow
from flows.workspace import Workspace
from pipeline_steps.errors import StorageError
from pipeline_steps.gate_types import ShadowEvidence
from pipeline_steps.registry.gate_axes import may_be_unsure
from pipeline_steps.registry.tracked_runs import TRAINING_FINGERPRINT


def drift(root: Path) -> Path:
    """Return a file of labelled rows from after a shift; the workspace may learn from it."""
    change_params(
        root,
        gate={"default_margin": 0.2, "calibration_margin": None},
        finetune={"epochs": 20, "early_stopping_patience": 20},
        retrain={"cool_down_hours": 0.0},
    )
    return write_jsonl(root.parent / "later.jsonl", shifted_rows())


def again(_: Path) -> Any:
    raise AssertionError("this workspace was made before")


@pytest.fixture
def retrained(snapshots: Any, trained: Any, holdfast: WarmCommands) -> Any:
    """Return a workspace after a retrain, its file, and what the command printed."""

    def make(root: Path) -> dict[str, Any]:
        snapshots.restore("trained", again)
        return retrain(holdfast, root, "--labelled", drift(root))[0]

    root, result = snapshots.restore("retrained", make)
    return root, root.parent / "later.jsonl", result


def retrain(holdfast: WarmCommands, root: Path, *arguments: Any) -> list[dict[str, Any]]:
    ended = holdfast("retrain", "--json", *map(str, arguments), cwd=root)
    assert ended.code == 0, ended.stderr
    return list(ended.printed)


def events(holdfast: WarmCommands, root: Path) -> Counter[str]:
    records = holdfast.records(root)
    assert records["problems"] == []
    return Counter(entry["event"] for entry in records["ledger"])


def test_the_window_is_fixed_and_the_ledger_and_the_report_say_so(
    holdfast: WarmCommands, retrained: Any
) -> None:
    root, _, result = retrained
    repair = result["repair"]
    assert (result["answer"], result["run"]["verdict"]) == ("RETRAIN", "PROMOTE")
    assert repair["verdict"] == "FIXED"
    assert repair["after"] > repair["before"] + 0.2
    assert repair["n"] == result["dataset"]["n_window"] == 120
    report = Path(result["report"]).read_text(encoding="utf-8")
    assert "FIXED" in report
    assert f"{repair['after']:.3f}" in report
    finished = holdfast.records(root)["ledger"][-1]
    assert finished["event"] == "retrain_finished"
    assert finished["evidence"]["repair"] == repair


def test_new_rows_are_a_dataset_version_of_their_own(retrained: Any) -> None:
    root, _, result = retrained
    sources = yaml.safe_load((root / "data/additions/sources.yaml").read_text())
    assert [source["role"] for source in sources] == ["train", "suite:window"]
    recorded = yaml.safe_load((root / "data/additions.dvc").read_text())["outs"][0]["md5"]
    assert recorded == result["dataset"]["digest"]
    locked = yaml.safe_load((root / "dvc.lock").read_text())["stages"]["ingest"]["deps"]
    assert [d["md5"] for d in locked if d["path"] == "data/additions"] == [recorded]
    assert [p.name for p in sorted((root / "data/raw").glob("*.jsonl"))] == ["train.jsonl"]


def test_the_test_set_is_the_one_that_the_champion_was_judged_on(
    retrained: Any, trained: tuple[Path, dict[str, Any]]
) -> None:
    old, new = trained[1]["metrics"], retrained[2]["run"]["metrics"]
    assert new["test/accuracy"]["n"] == old["test/accuracy"]["n"]


def test_windows_of_earlier_retrains_are_no_bar_where_they_are_too_small_to_tell(
    tmp_path: Path, tiny_base: Path
) -> None:
    """With 0.03 as the margin a window of 100 rows would let no later version pass."""
    workspace = Workspace.open(make_workspace(tmp_path / "desk", tiny_base))
    gate = retrain_params(workspace, Material.model_construct(), champion=1).gate
    unsure = [s for s in ("test", "window", "earlier_retrain-1a2b") if may_be_unsure(s, gate)]
    assert unsure == ["earlier_retrain-1a2b"]


def test_a_version_of_a_retrain_is_judged_again_on_its_window_and_on_labelled_traffic(
    holdfast: WarmCommands, retrained: Any
) -> None:
    root, _, result = retrained
    candidate = result["run"]["version"]
    recomputed = holdfast("gate", "--candidate", str(candidate), "--json", cwd=root)
    assert (recomputed.code, recomputed.printed["same_policy"]) == (0, True)
    assert holdfast("rollback", cwd=root).code == 0
    words = ("judge", str(candidate), "--json")
    same = holdfast(*words, cwd=root, skip=["reproduce_data"]).printed
    assert (same["fingerprint"], same["reused"]) == (result["run"]["fingerprint"], True)

    workspace = Workspace.open(root)
    tracker, name = open_tracker(workspace), workspace.params.register_.model_name
    ours, theirs = (tracker.version(name, number) for number in (candidate, 1))
    worse = ShadowEvidence(
        candidate_digest=ours.checkpoint_digest, champion_digest=theirs.checkpoint_digest,
        window_digest="w", n=500, n_different=400, n_candidate_better=0, n_champion_better=400,
    )  # fmt: skip
    training = tracker.run(ours.mlflow_run_id).tags[TRAINING_FINGERPRINT]
    record_shadow(workspace, worse, training, "labels")
    found = holdfast(*words, cwd=root, skip=["reproduce_data"]).printed
    assert (found["version"], found["verdict"], found["reused"]) == (candidate, "REJECT", False)
    ledger = holdfast.records(root)["ledger"]
    checks = [e for e in ledger if e["event"] == "gate_verdict"][-1]["evidence"]["checks"]
    passed = {check["name"]: check["passed"] for check in checks}
    assert passed["superiority window/accuracy"]
    assert not passed["non-inferiority shadow/better_answers"]
    assert holdfast("gate", "--candidate", str(candidate), cwd=root).code == 11


def test_the_same_file_again_is_the_same_event(holdfast: WarmCommands, retrained: Any) -> None:
    root, later, result = retrained
    [repeated] = retrain(holdfast, root, "--labelled", later)
    assert repeated == {**result, "reused": True}
    assert events(holdfast, root)["retrain_admitted"] == 1


def test_rows_that_were_learnt_from_are_no_new_evidence(
    holdfast: WarmCommands, retrained: Any
) -> None:
    root, later, _ = retrained
    lines = later.read_text().splitlines(keepends=True)
    later.with_name("part.jsonl").write_text("".join(lines[:200]))
    [answer] = retrain(holdfast, root, "--labelled", later.with_name("part.jsonl"))
    assert answer["answer"] == "NO_NEW_EVIDENCE"
    later.with_name("few.jsonl").write_text("".join(lines) + '{"text": "new", "label": "plus"}\n')
    [answer] = retrain(holdfast, root, "--labelled", later.with_name("few.jsonl"))
    assert answer["reason"] == ("1 new labelled row; 100 are needed to learn from and to judge on")


def failing_after(last: Any) -> Any:
    """Return what calls steps, and fails once one of them is done."""

    def call(step: Any, /, *args: Any, **kwargs: Any) -> Any:
        result = step(*args, **kwargs)
        if step is last:
            raise StorageError("no space is left", expected="space", fix="make room")
        return result

    return call


def test_a_retrain_that_failed_costs_its_minutes_and_keeps_its_evidence(
    trained: tuple[Path, dict[str, Any]],
) -> None:
    root = trained[0]
    trigger = Trigger(kind="labelled", labelled=drift(root))
    workspace = Workspace.open(root)
    for _ in range(2):
        with pytest.raises(StorageError, match="no space is left"):
            run_trigger(workspace, trigger, call=failing_after(add_dataset_version))
    entries = open_ledger(workspace).entries(workspace.params.register_.model_name)
    admitted, failed = ([e.evidence for e in entries if e.event == event]
                        for event in ("retrain_admitted", "retrain_failed"))  # fmt: skip
    n_rows = len(shifted_rows())
    assert [evidence["n_fresh"] for evidence in admitted] == [n_rows, n_rows]
    assert all(evidence["minutes"] > 0.0 for evidence in failed)


KILLED_AT = ["Ledger.decide", "add_dataset_version", "finetune_model", "promote_version"]


@pytest.mark.slow
@pytest.mark.parametrize("only", [KILLED_AT, None], ids=["few points", "every point"])
def test_a_retrain_killed_at_many_points_ends_as_an_undisturbed_one(
    holdfast: WarmCommands, retrained: Any, snapshots: Any, tmp_path: Path, *, only: Any
) -> None:
    root, later, undisturbed = retrained
    points = tmp_path / "points"
    snapshots.restore("trained", again)
    drift(root)
    for _ in range(120):
        ended = holdfast(
            "retrain", "--json", "--labelled", str(later), cwd=root, stops=points, only=only
        )
        if ended.code == 0:
            break
        assert ended.code == -signal.SIGKILL, ended.stderr
    [result] = ended.printed
    different = ("seconds", "run", "reused")
    assert {k: v for k, v in result.items() if k not in different} == {
        k: v for k, v in undisturbed.items() if k not in different
    }
    assert result["run"]["fingerprint"] == undisturbed["run"]["fingerprint"]
    counts = events(holdfast, root)
    assert counts["retrain_admitted"] == counts["retrain_finished"] == 1
    assert counts["champion_moved"] == 2
    assert len(points.read_text().splitlines()) >= len(KILLED_AT)


@pytest.mark.slow
def test_an_interrupted_trigger_keeps_its_id_whatever_came_since(
    holdfast: WarmCommands, retrained: Any, snapshots: Any, tmp_path: Path
) -> None:
    """Killed after its rows were written, it goes on without the file that they came from."""
    root, later, undisturbed = retrained
    snapshots.restore("trained", again)
    drift(root)
    stop = {"stops": tmp_path / "points", "only": ["add_dataset_version"]}
    killed = holdfast("retrain", "--json", "--labelled", str(later), cwd=root, **stop)
    assert killed.code == -signal.SIGKILL
    later.rename(later.with_name("moved.jsonl"))
    try:
        [result] = retrain(holdfast, root, "--sweep")
    finally:
        later.with_name("moved.jsonl").rename(later)
    assert result["trigger"] == undisturbed["trigger"]
    assert result["repair"] == undisturbed["repair"]


@pytest.mark.slow
@pytest.mark.timeout(3_000)
def test_a_champion_of_low_rank_updates_goes_on_with_new_rows(
    holdfast: WarmCommands, snapshots: Any, tiny_base: Path
) -> None:
    """Its checkpoint holds whole weights: the next updates are learnt on top of the merged ones."""

    updates = {"kind": "lora", "rank": 8}
    wider = {"tuning": {**updates, "target_modules": ["query", "key", "value", "dense"]}}

    def make(root: Path) -> None:
        make_workspace(root, tiny_base)
        change_params(root, finetune={"tuning": updates, "learning_rate": 2e-2, "epochs": 6})
        for command in ("prepare", "train"):
            ended = holdfast(command, cwd=root)
            assert ended.code == 0, ended.stderr

    root, _ = snapshots.restore("low rank", make)
    later = write_jsonl(drift(root), shifted_rows(960))
    change_params(
        root, finetune={**wider, "learning_rate": 5e-3}, retrain={"learning": "continual"}
    )
    [result] = retrain(holdfast, root, "--labelled", later)
    assert result["run"]["verdict"] == "PROMOTE"
    assert result["repair"]["after"] > result["repair"]["before"] + 0.2
    assert result["run"]["version"] == 2
    assert result["run"]["metrics"]["test/accuracy"]["value"] > 0.7
    assert events(holdfast, root)["champion_moved"] == 2
