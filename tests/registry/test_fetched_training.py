"""A training that was done elsewhere: its registered checkpoint is fetched, not trained again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from registry_builders import MODEL, TEXTS
from tiny_workspaces import change_params, make_workspace

from flows.candidate import finetune_model
from flows.prepare_data import Datasets
from flows.registry_access import open_tracker
from flows.training_plan import TrainingPlan
from flows.workspace import Workspace
from pipeline_steps.errors import CheckpointError
from pipeline_steps.registry.tracked_runs import TRAINING_FINGERPRINT
from pipeline_steps.types import Checkpoint, DatasetRef

TRAINING = "e" * 64


@pytest.fixture
def workspace(tmp_path: Path, empty_registry: Path, checkpoints: list[Checkpoint]) -> Workspace:
    """Return a workspace without a base model, whose registry knows a training from elsewhere."""
    root = make_workspace(tmp_path / "desk", tmp_path / "no base")
    change_params(root, register={"model_name": MODEL})
    found = Workspace.open(root)
    found.prepare_state()
    shutil.copyfile(empty_registry, found.state / "mlflow.db")
    tracker = open_tracker(found)
    tags = {TRAINING_FINGERPRINT: TRAINING}
    runs = [
        tracker.start_run(name * 64, name=name, tags=tags, params={}, datasets=[]) for name in "abc"
    ]
    first, second, *_ = checkpoints  # two machines trained, and a third run was killed
    uri = tracker.log_model(runs[0], first, input_example=[{"text": TEXTS[0]}])
    tracker.register(MODEL, uri, runs[0], first.digest, tags={})
    tracker.register(MODEL, uri, runs[1], second.digest, tags={})
    return found


def rows(checkpoint: Checkpoint, *, train: str | None = None) -> Datasets:
    def ref(name: str, digest: str) -> DatasetRef:
        return DatasetRef(name=name, split=name, path=Path(name), digest=digest, n_examples=20)

    return Datasets.model_construct(
        train=ref("train", train or checkpoint.train_digest),
        valid=ref("valid", checkpoint.valid_digest),
    )


def plan_of(checkpoint: Checkpoint, training: str = TRAINING) -> TrainingPlan:
    return TrainingPlan(
        fingerprint="d" * 64, training_fingerprint=training, base_digest=checkpoint.base_digest
    )


def test_a_training_that_is_registered_is_fetched_and_not_done_again(
    workspace: Workspace, checkpoints: list[Checkpoint]
) -> None:
    """Else each machine would have a candidate of its own, and a look at the test set with it."""
    first = checkpoints[0]
    found = finetune_model(workspace, rows(first), plan_of(first))
    assert found.digest == first.digest
    assert not list(workspace.state.glob("costs/*"))
    for datasets, plan in (
        (rows(first, train="other"), plan_of(first)),
        (rows(first), plan_of(first, "another")),
    ):
        with pytest.raises(CheckpointError, match="no base' is neither a directory nor to be had"):
            finetune_model(workspace, datasets, plan)
