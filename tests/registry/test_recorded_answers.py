"""Recorded answers of a version: promoted on them, gone back to by them, in full precision."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from builders import write_examples
from registry_builders import MODEL, TEXTS, decision
from tiny_workspaces import change_params, make_workspace
from toy_registry import answer_in_this_process

from flows.commands.champion import roll_back
from flows.prepare_data import Datasets
from flows.record import promote_version, register_version
from flows.registry_access import open_ledger, open_tracker
from flows.workspace import Workspace
from pipeline_steps.digests import file_digest
from pipeline_steps.inference.predict import predict
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.predictions_file import read_predictions
from pipeline_steps.registry.recorded_answers import ANSWERS_DIGEST, recorded_answers
from pipeline_steps.types import Checkpoint, DatasetRef


@pytest.fixture
def workspace(tmp_path: Path, toy_database: Path) -> Workspace:
    """Return a workspace whose registry holds the toys."""
    root = make_workspace(tmp_path / "desk", tmp_path / "base")
    change_params(root, register={"model_name": MODEL, "experiment": "tests"})
    found = Workspace.open(root)
    found.prepare_state()
    shutil.copyfile(toy_database, found.state / "mlflow.db")
    return found


def rows_of_today(root: Path) -> DatasetRef:
    path = write_examples(root / "test.parquet", [{"text": t, "label": "a"} for t in TEXTS])
    return DatasetRef(
        name="test", split="test", path=path, digest=file_digest(path, "md5"), n_examples=len(TEXTS)
    )


def test_a_version_is_promoted_on_the_answers_that_a_rollback_asks_for(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Today's test rows may be others than those of the day when it was registered."""
    monkeypatch.setattr("pipeline_steps.registry.smoke_test._run", answer_in_this_process)
    tracker, ledger = open_tracker(workspace), open_ledger(workspace)
    first, second = (tracker.version(MODEL, number) for number in (1, 2))
    for version, champion in ((first, None), (second, first)):
        assert promote_version(workspace, version, decision(version, champion), "f" * 64)
    for move in ledger.moves(MODEL):
        tags = tracker.version_tags(MODEL, move.evidence["version"])
        assert move.evidence["answers_digest"] == tags[ANSWERS_DIGEST]
    assert roll_back(workspace, None, "it is wrong").version == 1


def test_answers_are_recorded_in_the_precision_that_the_registered_model_answers_in(
    workspace: Workspace, checkpoints: list[Checkpoint], tmp_path: Path
) -> None:
    change_params(workspace.root, predict={"precision": "bf16"})
    workspace = Workspace.open(workspace.root)
    [checkpoint, *_], test = checkpoints, rows_of_today(tmp_path)
    path = workspace.predictions_path(checkpoint.digest, test)
    rough = read_predictions(predict(checkpoint, test, path, workspace.params.predict)).score
    tracker = open_tracker(workspace)
    run = tracker.start_run("f" * 64, name="r", tags={}, params={}, datasets=[])
    said = decision(tracker.version(MODEL, 1), None)
    version = register_version(
        workspace, run, checkpoint, Datasets.model_construct(test=test), said
    )
    recorded = recorded_answers(tracker, version)
    exact = Predictor.from_checkpoint(checkpoint.path).predict(TEXTS)
    assert [row.score for row in recorded] == pytest.approx([a["score"] for a in exact], abs=1e-6)
    assert [row.answer["label"] for row in recorded] == [a["label"] for a in exact]
    assert [row.score for row in recorded] != pytest.approx(rough.tolist(), abs=1e-6)
