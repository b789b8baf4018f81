"""``holdfast tune``: what is tried, what is kept of it, and what an interruption changes."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders import write_examples
from tiny_models import save_tiny_model
from tiny_workspaces import change_params, make_workspace, sentiment_rows
from warm_commands import WarmCommands

from flows.commands.tune import describe
from flows.prepare_data import Datasets, read_datasets
from flows.tuning import TuneResult, open_study, refuse_unmeasurable
from flows.tuning_trial import run_trial
from flows.workspace import Workspace
from pipeline_steps.digests import file_digest
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.generation_params import GenerationParams
from pipeline_steps.params import load_params
from pipeline_steps.types import DatasetRef, ValidationReport

SPACE = {"learning_rate": {"low": 3e-3, "high": 3e-2, "log": True}, "weight_decay": [0.0, 0.1]}
WITHOUT_DVC = {"skip": ["reproduce_data"]}


@pytest.fixture
def searched(prepared: Path) -> Path:
    """Return a workspace with a small space and a budget of three trials."""
    change_params(prepared, tune={"n_trials": 3, "space": SPACE})
    return prepared


def tune(holdfast: WarmCommands, root: Path, *options: str, **settings: Any) -> dict[str, Any]:
    ended = holdfast("tune", "--json", *options, cwd=root, **{**WITHOUT_DVC, **settings})
    assert ended.code == 0, ended.stderr
    return dict(ended.printed)


def what(trials: list[dict[str, Any]]) -> list[str]:
    return sorted(repr((t["state"], t["score"], t["values"])) for t in trials)


def checkpoints(root: Path) -> set[str]:
    return {path.parent.name for path in (root / ".holdfast/checkpoints").glob("*/meta.json")}


def test_a_search_is_scored_on_clean_and_noisy_valid_rows_and_shown_in_mlflow(
    holdfast: WarmCommands, searched: Path
) -> None:
    result = tune(holdfast, searched)
    assert [t["state"] for t in result["trials"]] == ["complete"] * 3
    for trial in result["trials"]:
        clean, noisy = trial["scores"]["valid"], trial["scores"]["valid_typos"]
        assert trial["score"] == pytest.approx((clean + noisy) / 2)
    assert result["best"]["score"] == max(t["score"] for t in result["trials"])
    runs = holdfast.records(searched)["runs"]
    [parent] = [run for run in runs if "mlflow.parentRunId" not in run["tags"]]
    children = [run for run in runs if run["tags"].get("mlflow.parentRunId") == parent["id"]]
    assert sorted(run["tags"]["holdfast.trial"] for run in children) == ["0", "1", "2"]
    assert {run["status"] for run in runs} == {"FINISHED"}
    assert parent["metrics"]["best_score"] == result["best"]["score"]
    assert parent["inputs"].keys() == {"train", "valid", "valid_typos"}


@pytest.mark.slow
def test_a_finished_search_is_not_repeated_and_the_best_can_be_applied_and_trained_at_once(
    holdfast: WarmCommands, searched: Path
) -> None:
    before = (searched / "params.yaml").read_text()
    (searched / "params.yaml").write_text(f"# mine, not yours\n{before}")
    first = tune(holdfast, searched)
    again = tune(holdfast, searched, "--apply")
    assert again["trials"] == first["trials"]
    assert first["best"]["score"] > first["present"]
    said = describe(TuneResult.model_validate(again), applied=True)
    assert said.endswith(
        "params.yaml has the best values now: holdfast train finds their checkpoint"
    )
    assert len(checkpoints(searched)) == 2  # that of the present parameters, and the best one
    text = (searched / "params.yaml").read_text()
    assert text.startswith("# mine, not yours\n")
    finetune = yaml.safe_load(text)["finetune"]
    assert {k: finetune[k] for k in SPACE} == again["best"]["values"]
    ended = holdfast("train", "--json", cwd=searched, **WITHOUT_DVC)
    assert ended.code == 0, ended.stderr
    assert len(checkpoints(searched)) == 2


@pytest.mark.slow
def test_a_killed_search_goes_on_to_the_same_trials(
    holdfast: WarmCommands, searched: Path, tmp_path: Path
) -> None:
    points = tmp_path / "points"
    killed = holdfast(
        "tune", "--json", cwd=searched, stops=points, only=["training_step"], **WITHOUT_DVC
    )
    assert killed.code == -signal.SIGKILL
    while killed.code == -signal.SIGKILL:
        killed = holdfast(
            "tune", "--json", cwd=searched, stops=points, only=["training_step"], **WITHOUT_DVC
        )
    assert killed.code == 0, killed.stderr
    disturbed = killed.printed
    statuses = {run["status"] for run in holdfast.records(searched)["runs"]}
    assert "RUNNING" not in statuses  # those of trials that were cut off are closed
    change_params(searched, register={"model_name": "another"})
    assert what(tune(holdfast, searched)["trials"]) == what(disturbed["trials"])


@pytest.mark.slow
def test_two_workers_share_a_search(holdfast: WarmCommands, searched: Path) -> None:
    change_params(searched, tune={"n_trials": 4})
    result = tune(holdfast, searched, "--workers", "2")
    assert len(result["trials"]) == 4
    assert len({repr(t["values"]) for t in result["trials"]}) == 4


def test_a_robust_score_without_noise_is_refused(holdfast: WarmCommands, searched: Path) -> None:
    change_params(searched, suites={"noise": []})
    ended = holdfast("tune", cwd=searched)
    assert ended.code != 0
    assert "tune.robust_weight is 0.5 and suites.noise is empty" in ended.stderr


def test_a_search_by_written_texts_of_which_none_is_written_is_refused(searched: Path) -> None:
    workspace = Workspace.open(searched)
    values = {"generation": GenerationParams(validation_rows=0)}
    finetune = workspace.params.finetune.model_copy(update=values)
    params = workspace.params.model_copy(update={"problem": "dialogue", "finetune": finetune})
    with pytest.raises(ConfigurationError, match=r"validation_rows is 0[\s\S]*by chrf"):
        refuse_unmeasurable(replace(workspace, params=params), read_datasets(searched))


@pytest.mark.parametrize(
    ("space", "idle"),
    [
        ({}, "learning_rate, layer_decay, weight_decay"),  # the space that is there by default
        ({"tuning.shots": [0, 4], "weight_decay": [0.0, 0.1]}, "weight_decay"),
        ({"tuning.shots": [0, 4]}, None),
        ({"tuning.kind": ["lora", "full"], "learning_rate": [1e-4, 1e-3]}, None),
        ({"tuning": [{"kind": "in_context"}, {"kind": "in_context", "shots": 4}]}, None),
    ],
)
def test_a_search_for_values_of_learning_where_nothing_learns_is_refused(
    searched: Path, space: dict[str, Any], idle: str | None
) -> None:
    change_params(searched, finetune={"tuning": {"kind": "in_context"}})
    values = yaml.safe_load((searched / "params.yaml").read_text())
    values["tune"] = {"space": space} if space else {}
    (searched / "params.yaml").write_text(yaml.safe_dump(values))
    workspace, datasets = Workspace.open(searched), read_datasets(searched)
    if idle is None:
        refuse_unmeasurable(workspace, datasets)
        return
    with pytest.raises(ConfigurationError, match=rf"tune\.space holds {idle}, and with .*in_cont"):
        refuse_unmeasurable(workspace, datasets)


def test_values_that_clash_only_together_are_a_failed_trial_and_not_asked_again(
    searched: Path,
) -> None:
    space = {"loss.kind": ["cross_entropy", "focal"], "loss.label_smoothing": [0.0, 0.1]}
    change_params(searched, tune={"space": space})
    workspace = Workspace.open(searched)
    study = open_study(workspace, "clashing")
    asked = study.ask()
    while list(asked.values.values()) != ["focal", 0.1]:
        asked = study.ask()
    run_trial(workspace, read_datasets(searched), study, asked, "no-run")
    [told] = study.ended()
    assert (told.number, told.state) == (asked.number, "fail")
    assert "label_smoothing is 0.1, and the focal loss has none" in told.notes["reason"]
    assert len(study.take_over()) == asked.number  # the others, which this test left


def test_a_base_that_cannot_be_trained_is_a_failed_trial(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "workspace", save_tiny_model(tmp_path / "base"))
    space = {"base_model": [str(tmp_path), str(tmp_path / "workspace")]}  # neither holds weights
    change_params(root, tune={"space": space})
    path = write_examples(tmp_path / "rows.parquet", sentiment_rows(20))
    rows = DatasetRef(name="rows", split="test", path=path, digest=file_digest(path), n_examples=20)
    report = ValidationReport(dataset_digest=rows.digest, success=True, n_rows=20, n_kept=20)
    datasets = Datasets(train=rows, valid=rows, test=rows, suites=(), validation=report)
    workspace = Workspace.open(root)
    workspace.prepare_state()
    study = open_study(workspace, "without weights")
    asked = study.ask()
    run_trial(workspace, datasets, study, asked, "no-run")
    [told] = study.ended()
    assert (told.number, told.state) == (asked.number, "fail")
    assert "there is no model.safetensors" in told.notes["reason"]


def test_every_mistake_in_a_space_is_named_before_anything_is_trained(searched: Path) -> None:
    space = {"learing_rate": [1e-4, 1e-3], "epochs": {"low": 0, "high": 3}, "tuning.kind": ["a", 1]}
    change_params(searched, tune={"space": space})
    with pytest.raises(ConfigurationError) as refused:
        load_params(searched / "params.yaml")
    for mistake in (
        "tune.space.learing_rate: finetune.learing_rate: unknown key; did you mean",
        "tune.space.epochs: finetune.epochs: Input should be greater than 0",
        "tune.space.tuning.kind: finetune.tuning",
    ):
        assert mistake in str(refused.value)
