"""The rows that a retrain learnt from, kept with its run: the workspace's own rows go on."""

from __future__ import annotations

import tempfile
from pathlib import Path

from flows.registry_access import open_tracker
from flows.retraining.material import Material, reference
from flows.version_files import runs_of
from flows.workspace import Workspace
from pipeline_steps.errors import DataError, RegistryError
from pipeline_steps.types import Checkpoint, DatasetRef, ModelVersion, Value

MATERIAL = "material"
_ABOUT = "material.json"


class Beginning(Value):
    """Where a retrain began: at a version, with earlier rows that came again; ``None``: a base."""

    champion: int | None = None


class KeptMaterial(Value):
    """What a version learnt from, as its run keeps it; ``earlier`` where it began at a version."""

    beginning: Beginning
    train: DatasetRef
    valid: DatasetRef
    earlier: DatasetRef | None = None


def keep_material(
    workspace: Workspace, material: Material, champion: int, fingerprint: str
) -> None:
    """Log what a retrain learnt from to the run of its candidate.

    Nothing else holds it: the rows were drawn by a policy from data that the next retrain changes.

    Parameters
    ----------
    workspace : Workspace
        Its parameters say how it learnt.
    material : Material
        The rows.
    champion : int
        The version that continual learning began at.
    fingerprint : str
        Of the candidate's run.

    Raises
    ------
    RegistryError
        If there is no such run.
    """
    tracker = open_tracker(workspace)
    run = tracker.find_run(fingerprint)
    if run is None:
        raise RegistryError(
            f"there is no run with fingerprint {fingerprint}",
            expected="the run of the candidate that was just judged",
            fix="run the same command again: it goes on from there",
        )
    continual = workspace.params.retrain.learning == "continual"
    datasets = [material.datasets.train, material.datasets.valid]
    datasets += [material.earlier] if continual else []
    beginning = Beginning(champion=champion if continual else None)
    with tempfile.TemporaryDirectory() as directory:
        about = Path(directory) / _ABOUT  # last: where it is, the rows are
        about.write_text(beginning.model_dump_json(), encoding="utf-8")
        files = [*(dataset.path for dataset in datasets), about]
        tracker.log_files(run.mlflow_run_id, files, under=MATERIAL)


def fetch_material(
    workspace: Workspace, version: ModelVersion, checkpoint: Checkpoint
) -> KeptMaterial | None:
    """Return what a version of a retrain learnt from, fetched; ``None`` of any other version.

    Raises
    ------
    DataError
        If it was changed since.
    """
    tracker = open_tracker(workspace)
    for run_id in runs_of(workspace, version):
        directory = workspace.state / "versions" / run_id / MATERIAL
        tracker.download_files(run_id, directory, under=MATERIAL)
        if (directory / _ABOUT).exists():
            return _read(directory, run_id, checkpoint)
    return None


def _read(directory: Path, run_id: str, checkpoint: Checkpoint) -> KeptMaterial:
    beginning = Beginning.model_validate_json((directory / _ABOUT).read_text(encoding="utf-8"))
    names = ("train", "valid") if beginning.champion is None else ("train", "valid", "earlier")
    kept = KeptMaterial(beginning=beginning, **{name: reference(directory, name) for name in names})
    found = (kept.train.digest, kept.valid.digest)
    if found != (checkpoint.train_digest, checkpoint.valid_digest):
        raise DataError(
            f"the rows that MLflow run {run_id} keeps are not those that its version learnt from",
            expected=f"train with digest {checkpoint.train_digest}, valid with digest "
            f"{checkpoint.valid_digest}",
            fix=f"restore {MATERIAL}/ of that run from a copy",
        )
    return kept
