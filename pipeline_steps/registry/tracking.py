"""The one door to MLflow: runs, metrics, artifacts, model versions and aliases.

Every call names its run: MLflow's active run belongs to a thread, and in another thread a logged
metric would silently start a run of its own.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from pipeline_steps.errors import RegistryError
from pipeline_steps.files import atomic_file
from pipeline_steps.registry.mlflow_entities import (
    METRICS_A_CALL,
    PARAMS_A_CALL,
    inputs_of,
    metrics_of,
    params_of,
)
from pipeline_steps.registry.mlflow_library import (
    MISSING,
    PRESENT,
    Client,
    code_of,
    explained,
    load_mlflow,
)
from pipeline_steps.registry.packaging import MODEL_ARTIFACTS, save_served_model
from pipeline_steps.types import Checkpoint, DatasetRef, EvaluationReport, ModelVersion

FINGERPRINT = "holdfast.fingerprint"
CHECKPOINT = "holdfast.checkpoint_digest"
_FINISHED = "FINISHED"
_MODEL = "model"
_REPORTS = "reports"


class TrackedRun(BaseModel):
    """An MLflow run of a fingerprint."""

    model_config = ConfigDict(frozen=True)

    mlflow_run_id: str
    finished: bool
    tags: dict[str, str]


class Tracker:
    """Records of one experiment and the registry beside it.

    Parameters
    ----------
    tracking_uri : str
        Absolute: a relative SQLite path would follow the working directory.
    artifact_location : str
        URI under which a new experiment keeps its artifacts.
    experiment : str
        Name of the experiment; made if there is none.
    """

    def __init__(self, tracking_uri: str, artifact_location: str, experiment: str) -> None:
        self.tracking_uri = tracking_uri
        self.client = Client(tracking_uri)
        self.experiment_id = self._experiment(experiment, artifact_location)

    def find_run(self, fingerprint: str) -> TrackedRun | None:
        """Return the run of a fingerprint, a finished one before an interrupted one."""
        runs = self.client.search_runs(
            [self.experiment_id], filter_string=f"tags.`{FINGERPRINT}` = '{fingerprint}'"
        )
        found = [
            TrackedRun(
                mlflow_run_id=run.info.run_id,
                finished=run.info.status == _FINISHED,
                tags=dict(run.data.tags),
            )
            for run in runs
        ]
        return max(found, key=lambda run: run.finished, default=None)

    def start_run(
        self,
        fingerprint: str,
        *,
        name: str,
        tags: Mapping[str, str],
        params: Mapping[str, Any],
        datasets: Sequence[DatasetRef],
    ) -> str:
        """Return the id of the run of a fingerprint; an interrupted one goes on.

        Whatever it was interrupted in, it has its tags, parameters and datasets afterwards.
        """
        earlier = self.find_run(fingerprint)
        if earlier is None:
            run = self.client.create_run(
                self.experiment_id, run_name=name, tags={FINGERPRINT: fingerprint, **tags}
            )
            run_id = str(run.info.run_id)
        else:
            run_id = earlier.mlflow_run_id
            self.client.update_run(run_id, status="RUNNING")
            for key, value in tags.items():
                self.client.set_tag(run_id, key, value)
        self._log_params(run_id, params)
        self.client.log_inputs(run_id, inputs_of(datasets))
        return run_id

    def log_reports(self, mlflow_run_id: str, reports: Sequence[EvaluationReport]) -> None:
        """Log every metric of every suite as ``suite/metric``, with its interval."""
        metrics = metrics_of(reports)
        for start in range(0, len(metrics), METRICS_A_CALL):
            self.client.log_batch(mlflow_run_id, metrics=metrics[start : start + METRICS_A_CALL])

    def log_scores(self, mlflow_run_id: str, scores: Mapping[str, float], step: int = 0) -> None:
        """Log plain numbers, for a curve at a step."""
        for name, value in scores.items():
            self.client.log_metric(mlflow_run_id, name, value, step=step)

    def log_files(self, mlflow_run_id: str, paths: Iterable[Path]) -> None:
        """Log files as artifacts under ``reports``."""
        for path in paths:
            self.client.log_artifact(mlflow_run_id, str(path), _REPORTS)

    def download_files(self, mlflow_run_id: str, into: Path) -> None:
        """Fetch what :meth:`log_files` logged into a directory."""
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as directory:
            for entry in self.client.list_artifacts(mlflow_run_id, _REPORTS):
                fetched = self.client.download_artifacts(mlflow_run_id, entry.path, directory)
                with atomic_file(into / Path(fetched).name) as file:
                    shutil.copyfile(fetched, file)

    def finish_run(self, mlflow_run_id: str, status: str = _FINISHED) -> None:
        """Close a run."""
        self.client.set_terminated(mlflow_run_id, status)

    def log_model(
        self,
        mlflow_run_id: str,
        checkpoint: Checkpoint,
        *,
        input_example: Sequence[Mapping[str, Any]],
    ) -> str:
        """Return the URI of the model after logging it: code, weights, signature, requirements."""
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / _MODEL
            save_served_model(path, checkpoint, input_example)
            self.client.log_artifacts(mlflow_run_id, str(path), _MODEL)
        return f"runs:/{mlflow_run_id}/{_MODEL}"

    def register(
        self,
        name: str,
        model_uri: str,
        mlflow_run_id: str,
        checkpoint_digest: str,
        tags: Mapping[str, str],
    ) -> ModelVersion:
        """Return the new version of a model."""
        self._make_registered_model(name)
        artifacts = self.client.get_run(mlflow_run_id).info.artifact_uri
        source = f"{artifacts}/{model_uri.rsplit('/', 1)[-1]}"
        version = self.client.create_model_version(
            name, source, run_id=mlflow_run_id, tags={CHECKPOINT: checkpoint_digest, **tags}
        )
        return self.version(name, int(version.version))

    def find_version(self, name: str, checkpoint_digest: str) -> ModelVersion | None:
        """Return the version that was registered from a checkpoint, if any."""
        versions = self.client.search_model_versions(
            f"name = '{name}' AND tags.`{CHECKPOINT}` = '{checkpoint_digest}'"
        )
        numbers = [int(version.version) for version in versions]
        return self.version(name, min(numbers)) if numbers else None

    def version(self, name: str, version: int) -> ModelVersion:
        """Return a version with its aliases.

        Raises
        ------
        RegistryError
            If there is no such version, or it was not registered by Holdfast.
        """
        try:
            found = self.client.get_model_version(name, str(version))
        except RegistryError as error:
            if code_of(error) != MISSING:
                raise
            raise _no_such_version(name, version) from error
        if CHECKPOINT not in found.tags:
            raise RegistryError(
                f"version {version} of {name} has no tag {CHECKPOINT}",
                expected="a version that holdfast train registered",
                fix="set register.model_name to a name of Holdfast's own, then: holdfast train",
            )
        return ModelVersion(
            name=name,
            version=version,
            mlflow_run_id=found.run_id,
            model_uri=f"models:/{name}/{version}",
            checkpoint_digest=found.tags[CHECKPOINT],
            aliases=tuple(sorted(found.aliases)),
        )

    def version_by_alias(self, name: str, alias: str) -> ModelVersion | None:
        """Return the version that an alias points to, or ``None``."""
        if not self.client.search_registered_models(filter_string=f"name = '{name}'"):
            return None
        number = self.client.get_registered_model(name).aliases.get(alias)
        return None if number is None else self.version(name, int(number))

    def set_alias(self, name: str, alias: str, version: int) -> None:
        """Let an alias point to a version."""
        self.client.set_registered_model_alias(name, alias, str(version))

    def delete_alias(self, name: str, alias: str) -> None:
        """Remove an alias; without one nothing happens."""
        self.client.delete_registered_model_alias(name, alias)

    def tag_version(self, version: ModelVersion, tags: Mapping[str, str]) -> None:
        """Tag a version."""
        for key, value in tags.items():
            self.client.set_model_version_tag(version.name, str(version.version), key, value)

    def checkpoint_of(self, version: ModelVersion, into: Path) -> Path:
        """Return ``into`` after fetching the version's checkpoint directory there."""
        mlflow = load_mlflow()
        into.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=into.parent) as directory:
            source = self.client.get_model_version_download_uri(version.name, str(version.version))
            with explained(self.tracking_uri):
                fetched = mlflow.artifacts.download_artifacts(
                    artifact_uri=f"{source}/{MODEL_ARTIFACTS}",
                    dst_path=directory,
                    tracking_uri=self.tracking_uri,
                )
            shutil.rmtree(into, ignore_errors=True)  # what an unfinished checkpoint left
            # MLflow keeps the directory under the name that it had where it was made.
            next(Path(fetched).iterdir()).replace(into)
        return into

    def _experiment(self, name: str, artifact_location: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self.client.create_experiment(name, artifact_location=artifact_location))
            except RegistryError as error:  # another process may have made it just now
                if code_of(error) != PRESENT:
                    raise
                found = self.client.get_experiment_by_name(name)
        if found.lifecycle_stage != "active":
            raise RegistryError(
                f"the experiment {name} was deleted",
                expected="an active experiment",
                fix=f"restore it (mlflow experiments restore -x {found.experiment_id}) or set "
                "register.experiment to another name",
            )
        return str(found.experiment_id)

    def _make_registered_model(self, name: str) -> None:
        try:
            self.client.create_registered_model(name)
        except RegistryError as error:
            if code_of(error) != PRESENT:
                raise

    def _log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Log what the run does not have yet: MLflow refuses to change a parameter."""
        present = self.client.get_run(run_id).data.params
        new = [param for param in params_of(params) if param.key not in present]
        for start in range(0, len(new), PARAMS_A_CALL):
            self.client.log_batch(run_id, params=new[start : start + PARAMS_A_CALL])


def _no_such_version(name: str, version: int) -> RegistryError:
    return RegistryError(
        f"there is no version {version} of {name}",
        expected="a registered version",
        fix="holdfast ledger log shows the versions; holdfast train makes one",
    )
