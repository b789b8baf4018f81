"""What a retrain learnt from is kept with its run, and its version is rebuilt from there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from builders import write_examples
from registry_builders import MODEL, register_checkpoint
from tiny_models import WORDS
from tiny_workspaces import change_params, make_workspace

from flows.commands.reproduce import learnt_from, rebuild
from flows.prepare_data import Datasets
from flows.registry_access import open_ledger, open_tracker
from flows.retraining.kept_material import keep_material
from flows.retraining.material import Material, reference
from flows.workspace import Workspace
from pipeline_steps.errors import DataError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.registry.tracking import Tracker
from pipeline_steps.registry.verdicts import record_verdict
from pipeline_steps.training.finetune import finetune
from pipeline_steps.types import Checkpoint, DatasetRef, ModelVersion


@pytest.fixture
def workspace(tmp_path: Path, empty_registry: Path, checkpoints: list[Checkpoint]) -> Workspace:
    """Return a workspace with a version 1 that a retrain may go on from."""
    root = make_workspace(tmp_path / "desk", tmp_path / "no base")
    change_params(
        root,
        register={"model_name": MODEL, "experiment": "tests"},
        retrain={"learning": "continual"},
    )
    found = Workspace.open(root)
    found.prepare_state()
    shutil.copyfile(empty_registry, found.state / "mlflow.db")
    register_checkpoint(open_tracker(found), checkpoints[0])
    return found


@pytest.fixture
def material(tmp_path: Path) -> Material:
    directory = tmp_path / "material"
    for number, name in enumerate(("train", "valid", "earlier")):
        words = [" ".join(WORDS[i + number : i + number + 4]) for i in range(16)]
        rows = [{"text": text, "label": "ab"[i % 2]} for i, text in enumerate(words)]
        write_examples(directory / f"{name}.parquet", rows)
    refs = {name: reference(directory, name) for name in ("train", "valid", "earlier")}
    return Material.model_construct(
        datasets=Datasets.model_construct(train=refs["train"], valid=refs["valid"]),
        earlier=refs["earlier"],
    )


def retrained(
    workspace: Workspace, material: Material, start: Checkpoint, root: Path
) -> tuple[ModelVersion, Checkpoint]:
    """Return a version that went on from a checkpoint, and what it is made of."""
    begun = shutil.copytree(start.path, root / "fetched then")  # not there any more, later
    params = FinetuneParams.model_validate(
        {
            "base_model": str(begun), "epochs": 1, "precision": "fp32", "max_length": 24,
            "objective": {"replay": {"examples": str(material.earlier.path), "share": 0.5}},
        }
    )  # fmt: skip
    learnt = material.datasets
    made = finetune(learnt.train, learnt.valid, params, root / "made", work=root / "work")
    shutil.rmtree(begun)
    tracker = open_tracker(workspace)
    run = tracker.start_run(made.digest, name="r", tags={}, params={}, datasets=[])
    return tracker.register(MODEL, f"runs:/{run}/model", run, made.digest, tags={}), made


def rows_of_today(material: Material) -> Datasets:
    def other(dataset: DatasetRef) -> DatasetRef:
        return dataset.model_copy(update={"digest": "another day's"})

    learnt = material.datasets
    return Datasets.model_construct(train=other(learnt.train), valid=other(learnt.valid))


def test_a_version_of_a_retrain_is_rebuilt_from_the_rows_that_its_run_keeps(
    workspace: Workspace, material: Material, checkpoints: list[Checkpoint], tmp_path: Path
) -> None:
    """Its rows are gone, and so is the directory that it began at."""
    version, made = retrained(workspace, material, checkpoints[0], tmp_path)
    today = rows_of_today(material)
    with pytest.raises(DataError, match="train here has digest another day's, version 2 learnt"):
        learnt_from(workspace, version, made, today, "reproduce")
    said = {"fingerprint": made.digest, "candidate_digest": made.digest}
    record_verdict(open_ledger(workspace), MODEL, actor="ada", reason="PROMOTE", evidence=said)
    keep_material(workspace, material, 1, made.digest)
    shutil.rmtree(tmp_path / "material")
    found = learnt_from(workspace, version, made, today, "reproduce")
    assert rebuild(workspace, found, made).digest == made.digest
    spoil(open_tracker(workspace), version)
    with pytest.raises(DataError, match="are not those that its version learnt from"):
        learnt_from(workspace, version, made, today, "reproduce")


def spoil(tracker: Tracker, version: ModelVersion) -> None:
    """Put the validation rows in the place of the training rows, where they are kept."""
    place = tracker.client.get_run(version.mlflow_run_id).info.artifact_uri
    kept = Path(place.removeprefix("file://")) / "material"
    shutil.copyfile(kept / "valid.parquet", kept / "train.parquet")
