"""``holdfast train``: what it records, what it reuses, and what a change of parameters repeats."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_workspaces import change_params
from warm_commands import WarmCommands

from flows.prepare_data import read_datasets
from flows.training_plan import plan_training
from flows.workspace import Workspace
from pipeline_steps.digests import file_digest

Trained = tuple[Path, dict[str, Any]]
LEARNS = {"epochs": 8, "learning_rate": 2e-2, "batch_tokens": 128}
"""What lets the tiny model learn the words; the first run's two epochs leave it guessing."""


WITHOUT_DVC = {"skip": ["reproduce_data"]}
"""Where the data are as they were: a DVC that finds nothing to do takes seconds."""


def train(holdfast: WarmCommands, root: Path, **settings: Any) -> dict[str, Any]:
    ended = holdfast("train", "--json", cwd=root, **{**WITHOUT_DVC, **settings})
    assert ended.code == 0, ended.stderr
    return dict(ended.printed)


def events(records: dict[str, Any]) -> list[str]:
    return [entry["event"] for entry in records["ledger"]]


def checkpoints(root: Path) -> dict[str, int]:
    """Return when the weights of each checkpoint of the workspace were written."""
    weights = (root / ".holdfast/checkpoints").glob("*/model.safetensors")
    return {path.parent.name: path.stat().st_mtime_ns for path in weights}


def test_the_first_run_is_promoted_with_its_alias(holdfast: WarmCommands, trained: Trained) -> None:
    root, result = trained
    assert (result["version"], result["verdict"], result["reused"]) == (1, "PROMOTE", False)
    records = holdfast.records(root)
    assert records["aliases"] == {"champion": 1}
    assert events(records) == [
        *("evaluation_set", "gate_verdict", "registered", "promotion_intent"),
        *("champion_moved", "promotion_confirmed"),
    ]
    assert records["problems"] == []


def test_the_result_is_the_contract(trained: Trained) -> None:
    root, result = trained
    assert set(result) == {
        *("fingerprint", "version", "verdict", "reused", "metrics", "report", "seconds")
    }
    assert {"test/accuracy", "test/macro_f1", "test/ece", "typos/accuracy"} <= set(
        result["metrics"]
    )
    for metric in result["metrics"].values():
        assert set(metric) == {"value", "n", "ci_low", "ci_high", "greater_is_better"}
        if metric["value"] is not None:
            assert metric["ci_low"] <= metric["value"] <= metric["ci_high"]
    assert {result["metrics"][f"{s}/accuracy"]["n"] for s in ("test", "typos")} == {80}
    assert not result["metrics"]["test/ece"]["greater_is_better"]
    assert Path(result["report"]).is_relative_to(root)
    assert "<html" in Path(result["report"]).read_text(encoding="utf-8")
    assert result["seconds"] > 0


def test_a_run_names_data_code_and_parameters(holdfast: WarmCommands, trained: Trained) -> None:
    root, result = trained
    [run] = holdfast.records(root)["runs"]
    assert run["status"] == "FINISHED"
    assert run["tags"]["holdfast.fingerprint"] == result["fingerprint"]
    assert run["tags"]["dvc.lock.sha256"] == file_digest(root / "dvc.lock")
    assert run["tags"]["git.commit"] == "none"  # the test's workspace is in no repository
    assert run["params"]["finetune.learning_rate"] == "0.003"
    assert run["metrics"]["test/accuracy"] == result["metrics"]["test/accuracy"]["value"]
    assert set(run["inputs"]) == {"train", "valid", "test", "typos"}
    assert run["inputs"]["train"] == file_digest(root / "data/splits/train.parquet", "md5")
    assert sorted(run["files"]) == [
        f"reports/{name}"
        for name in (
            *("decision.json", "environment.txt", "evaluation.json", "evidence.json"),
            *("model_card.md", "params.yaml", "report.html", "report.json", "result.json"),
        )
    ]


def test_in_a_repository_the_run_names_the_commit(holdfast: WarmCommands, trained: Trained) -> None:
    root, _ = trained
    for command in ("init -q", "add .", "commit -qm data"):
        subprocess.run(["git", *command.split()], cwd=root, check=True)
    change_params(root, gate={"default_margin": 0.04})
    train(holdfast, root)
    newest = holdfast.records(root)["runs"][0]
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=root, text=True).strip()
    assert newest["tags"]["git.commit"] == head
    assert newest["tags"]["git.dirty"] == "True"


def test_the_same_run_again_does_nothing_again(holdfast: WarmCommands, trained: Trained) -> None:
    root, first = trained
    before, weights = holdfast.records(root), checkpoints(root)
    second = train(holdfast, root, skip=[])
    assert second == {**first, "reused": True, "seconds": second["seconds"]}
    assert holdfast.records(root) == before
    assert checkpoints(root) == weights


def test_a_reused_run_says_so_to_people_and_shows_its_numbers(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, _ = trained
    ended = holdfast("train", cwd=root, **WITHOUT_DVC)
    assert "nothing to do: this run was finished before" in ended.stdout
    assert "Verdict: PROMOTE" in ended.stdout
    assert "accuracy" in ended.stdout


def test_reports_that_were_removed_are_fetched_from_the_record(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, first = trained
    shutil.rmtree(root / ".holdfast/runs")
    second = train(holdfast, root)
    plan = plan_training(Workspace.open(root), read_datasets(root))
    assert plan.fingerprint == second["fingerprint"]
    assert second == {**first, "reused": True, "seconds": second["seconds"]}
    assert Path(second["report"]).exists()


def test_a_run_whose_reports_are_lost_everywhere_is_finished_anew(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, first = trained
    shutil.rmtree(root / ".holdfast/runs")
    for reports in (root / ".holdfast/artifacts").rglob("reports"):
        shutil.rmtree(reports)
    weights = checkpoints(root)
    second = train(holdfast, root)
    assert (second["version"], second["reused"]) == (1, False)
    assert second["metrics"] == first["metrics"]
    assert checkpoints(root) == weights


def test_a_reused_run_sets_the_aliases_that_a_killed_promotion_has_not_set(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, _ = trained
    holdfast(cwd=root, task="warm_commands.remove_champion_alias")
    assert holdfast.records(root)["aliases"] == {}
    assert train(holdfast, root)["reused"] is True
    records = holdfast.records(root)
    assert (records["aliases"], records["problems"]) == ({"champion": 1}, [])


@pytest.mark.slow
def test_a_finished_run_is_judged_anew_whenever_another_version_has_become_champion(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, first = trained
    before = (root / "params.yaml").read_text(encoding="utf-8")
    change_params(root, finetune={"seed": 1}, gate={"default_margin": 0.5})
    train(holdfast, root)
    word = ("--override", "--reason", "a person wants it")
    assert holdfast("promote", "2", *word, cwd=root).code == 0
    weights = checkpoints(root)

    (root / "params.yaml").write_text(before, encoding="utf-8")
    second = train(holdfast, root)
    assert (second["fingerprint"], second["version"]) == (first["fingerprint"], 1)
    assert (first["verdict"], second["verdict"], second["reused"]) == (
        "PROMOTE",
        "INCONCLUSIVE",
        False,
    )
    assert train(holdfast, root)["reused"] is True
    records = holdfast.records(root)
    last = [e["evidence"] for e in records["ledger"] if e["event"] == "gate_verdict"][-1]
    assert last["fingerprint"] == first["fingerprint"]
    assert last["champion_digest"] is not None
    assert checkpoints(root) == weights
    assert holdfast("gate", "--candidate", "1", cwd=root).code == 12
    assert (records["aliases"]["champion"], records["problems"]) == (2, [])


def test_another_policy_judges_anew_and_trains_nothing(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, first = trained
    weights = checkpoints(root)
    change_params(root, gate={"floors": {"test/accuracy": 0.99}})
    second = train(holdfast, root)
    plan = plan_training(Workspace.open(root), read_datasets(root))
    assert plan.fingerprint == second["fingerprint"]
    assert second["fingerprint"] != first["fingerprint"]
    assert (second["version"], second["reused"]) == (1, False)
    assert second["metrics"] == first["metrics"]
    assert checkpoints(root) == weights
    records = holdfast.records(root)
    assert [run["status"] for run in records["runs"]] == ["FINISHED"] * 2
    assert events(records).count("gate_verdict") == 2
    assert events(records).count("champion_moved") == 1
    assert records["aliases"] == {"champion": 1}


def test_an_earlier_policy_does_not_answer_with_a_verdict_that_a_later_one_has_overruled(
    holdfast: WarmCommands, trained: Trained
) -> None:
    """The ledger's last verdict counts for a promotion, so a reused run must not say another."""
    root, first = trained
    before = (root / "params.yaml").read_text(encoding="utf-8")
    change_params(root, gate={"floors": {"test/accuracy": 0.99}})
    assert (first["verdict"], train(holdfast, root)["verdict"]) == ("PROMOTE", "HOLD")
    (root / "params.yaml").write_text(before, encoding="utf-8")
    back = train(holdfast, root)
    assert (back["fingerprint"], back["reused"]) == (first["fingerprint"], False)
    verdicts = [e for e in holdfast.records(root)["ledger"] if e["event"] == "gate_verdict"]
    assert len(verdicts) == 3
    assert verdicts[-1]["evidence"]["fingerprint"] == first["fingerprint"]
    assert verdicts[-1]["evidence"]["verdict"] == back["verdict"] == "HOLD"  # it is the champion
    assert train(holdfast, root)["reused"] is True


def test_a_challenger_that_is_no_better_leaves_the_champion(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, _ = trained
    change_params(root, finetune={"seed": 1}, gate={"default_margin": 0.5})
    second = train(holdfast, root)
    assert (second["version"], second["verdict"]) == (2, "HOLD")
    records = holdfast.records(root)
    assert records["aliases"] == {"champion": 1, "challenger": 2}
    assert events(records).count("champion_moved") == 1


def test_a_challenger_that_is_better_on_the_same_rows_becomes_champion(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, first = trained
    change_params(root, finetune=LEARNS)
    second = train(holdfast, root)
    assert (second["version"], second["verdict"]) == (2, "PROMOTE")
    records = holdfast.records(root)
    assert records["aliases"] == {"champion": 2, "previous": 1}
    assert records["problems"] == []
    decision = [e for e in records["ledger"] if e["event"] == "gate_verdict"][-1]["evidence"]
    test = next(c for c in decision["checks"] if c["name"] == "superiority test/accuracy")
    assert test["champion"] == first["metrics"]["test/accuracy"]["value"]
    assert test["candidate"] == second["metrics"]["test/accuracy"]["value"]


@pytest.mark.slow
def test_a_rejected_version_is_no_challenger(holdfast: WarmCommands, trained: Trained) -> None:
    root, _ = trained
    change_params(root, finetune={"seed": 1}, gate={"default_margin": 0.5})
    assert train(holdfast, root)["verdict"] == "HOLD"
    change_params(root, gate={"floors": {"test/accuracy": 0.99}})
    assert train(holdfast, root)["verdict"] == "REJECT"
    records = holdfast.records(root)
    assert records["aliases"] == {"champion": 1}
    assert records["versions"]["2"]["holdfast.verdict"] == "REJECT"


def test_changed_data_train_anew(holdfast: WarmCommands, trained: Trained) -> None:
    root, first = trained
    raw = root / "data/raw/train.jsonl"
    raw.write_text("".join(raw.read_text().splitlines(keepends=True)[:-20]))
    second = train(holdfast, root, skip=[])
    assert second["fingerprint"] != first["fingerprint"]
    assert second["version"] == 2


@pytest.mark.slow
def test_a_candidate_trained_elsewhere_meets_the_registered_champion(
    holdfast: WarmCommands, trained: Trained
) -> None:
    """The champion's checkpoint is fetched from the registry where it does not lie any more."""
    root, first = trained
    for directory in ("checkpoints", "predictions"):
        shutil.rmtree(root / ".holdfast" / directory)
    change_params(root, finetune={"seed": 1}, gate={"default_margin": 0.5})
    assert train(holdfast, root)["version"] == 2
    verdicts = [e for e in holdfast.records(root)["ledger"] if e["event"] == "gate_verdict"]
    checks = {check["name"]: check for check in verdicts[-1]["evidence"]["checks"]}
    compared = checks["superiority test/accuracy"]["champion"]
    assert compared == first["metrics"]["test/accuracy"]["value"]


def test_a_damaged_champion_in_the_registry_is_named_and_nothing_is_promoted(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, _ = trained
    for directory in ("checkpoints", "predictions"):
        shutil.rmtree(root / ".holdfast" / directory)
    [weights] = (root / ".holdfast/artifacts").rglob("model.safetensors")
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    change_params(root, finetune={"seed": 1}, gate={"default_margin": 0.5})
    refused = holdfast("train", "--json", cwd=root, **WITHOUT_DVC)
    assert (refused.code, refused.stdout) == (2, "")
    assert "the registered artifact of version 1 of workspace is damaged" in refused.stderr
    assert "restore the artifacts of MLflow run" in refused.stderr
    records = holdfast.records(root)
    assert records["aliases"] == {"champion": 1}
    assert records["runs"][0]["status"] == "FAILED"
    weights.write_bytes(whole)
    assert train(holdfast, root)["verdict"] == "HOLD"


@pytest.mark.parametrize(
    "damage", ["truncated", pytest.param("removed marker", marks=pytest.mark.slow)]
)
def test_a_damaged_checkpoint_is_trained_anew_to_the_same_weights(
    holdfast: WarmCommands, trained: Trained, damage: str
) -> None:
    root, first = trained
    [meta] = (root / ".holdfast/checkpoints").glob("*/meta.json")
    weights = meta.with_name("model.safetensors")
    whole = weights.read_bytes()
    if damage == "truncated":
        weights.write_bytes(whole[:-100])
    else:
        meta.unlink()
    change_params(root, gate={"floors": {"test/accuracy": 0.2}})
    second = train(holdfast, root)
    assert (second["version"], second["metrics"]) == (1, first["metrics"])
    assert weights.read_bytes() == whole


def test_another_base_model_than_the_named_one_is_refused(
    holdfast: WarmCommands, prepared: Path
) -> None:
    change_params(prepared, finetune={"base_digest": "0" * 64})
    refused = holdfast("train", "--json", cwd=prepared, **WITHOUT_DVC)
    assert (refused.code, refused.stdout) == (2, "")
    assert "expected: sha256 0000" in refused.stderr


def test_all_mistakes_in_params_are_named_at_once(holdfast: WarmCommands, prepared: Path) -> None:
    file = prepared / "params.yaml"
    values = yaml.safe_load(file.read_text())
    values["finetune"]["epocs"] = 3
    values["gate"]["alpha"] = 7
    values["split"]["seed"] = "many"
    file.write_text(yaml.safe_dump(values))
    refused = holdfast("train", "--json", cwd=prepared)
    assert (refused.code, refused.stdout) == (2, "")
    assert "has 3 mistakes:" in refused.stderr
    for words in ("did you mean 'epochs'", "gate.alpha", "split.seed"):
        assert words in refused.stderr


def test_a_teacher_is_part_of_what_a_run_is_known_by(
    holdfast: WarmCommands, trained: Trained, tmp_path: Path
) -> None:
    """The first version teaches the second; another teacher at the same place is another run."""
    root, first = trained
    (mine,) = (root / ".holdfast/checkpoints").iterdir()
    teacher = shutil.copytree(mine, tmp_path / "teacher")
    objective = {"distillation": {"teachers": [str(teacher)]}, "fgm": {"epsilon": 0.5}}
    change_params(root, finetune={"objective": objective, "loss": {"label_smoothing": 0.1}})
    second = train(holdfast, root)
    plan = plan_training(Workspace.open(root), read_datasets(root))
    assert plan.fingerprint == second["fingerprint"]
    assert second["fingerprint"] != first["fingerprint"]
    (theirs,) = {*(root / ".holdfast/checkpoints").iterdir()} - {mine}
    shutil.rmtree(teacher)
    shutil.copytree(theirs, teacher)
    plan = plan_training(Workspace.open(root), read_datasets(root))
    assert plan.fingerprint not in (first["fingerprint"], second["fingerprint"])
