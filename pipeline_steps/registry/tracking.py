"""The one door to MLflow: runs, metrics, artifacts, model versions and aliases.

Every call names its run: MLflow's active run belongs to a thread, and in another thread a logged
metric would silently start a run of its own.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from pipeline_steps.errors import RegistryError
from pipeline_steps.registry.mlflow_library import load_mlflow
from pipeline_steps.registry.packaging import MODEL_ARTIFACTS, save_served_model
from pipeline_steps.types import Checkpoint, DatasetRef, EvaluationReport, ModelVersion

FINGERPRINT = "holdfast.fingerprint"
CHECKPOINT = "holdfast.checkpoint_digest"
_FINISHED = "FINISHED"
_MODEL = "model"
_REPORTS = "reports"
_MAX_PARAM = 500
_PARAMS_A_CALL = 100


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
        mlflow = load_mlflow()
        self.tracking_uri = tracking_uri
        self.client = mlflow.MlflowClient(tracking_uri, registry_uri=tracking_uri)
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
        """Return the id of the run of a fingerprint; an interrupted one goes on."""
        earlier = self.find_run(fingerprint)
        if earlier is not None:
            self.client.update_run(earlier.mlflow_run_id, status="RUNNING")
            return earlier.mlflow_run_id
        run = self.client.create_run(
            self.experiment_id, run_name=name, tags={FINGERPRINT: fingerprint, **tags}
        )
        run_id = str(run.info.run_id)
        self._log_params(run_id, params)
        self._log_datasets(run_id, datasets)
        return run_id

    def log_reports(self, mlflow_run_id: str, reports: Sequence[EvaluationReport]) -> None:
        """Log every metric of every suite as ``suite/metric``, with its interval."""
        from mlflow.entities import Metric

        metrics = [
            Metric(name, value, timestamp=0, step=0)
            for report in reports
            for metric in report.metrics
            for name, value in (
                (f"{report.suite}/{metric.name}", metric.value),
                (f"{report.suite}/{metric.name}/ci_low", metric.ci_low),
                (f"{report.suite}/{metric.name}/ci_high", metric.ci_high),
                (f"{report.suite}/n", float(report.n)),
            )
            if value is not None
        ]
        self.client.log_batch(mlflow_run_id, metrics=metrics)

    def log_files(self, mlflow_run_id: str, paths: Iterable[Path]) -> None:
        """Log files as artifacts under ``reports``."""
        for path in paths:
            self.client.log_artifact(mlflow_run_id, str(path), _REPORTS)

    def download_files(self, mlflow_run_id: str, into: Path) -> None:
        """Fetch what :meth:`log_files` logged into a directory."""
        into.mkdir(parents=True, exist_ok=True)
        for entry in self.client.list_artifacts(mlflow_run_id, _REPORTS):
            fetched = Path(self.client.download_artifacts(mlflow_run_id, entry.path))
            (into / fetched.name).write_bytes(fetched.read_bytes())

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
        if not self.client.search_registered_models(filter_string=f"name = '{name}'"):
            self.client.create_registered_model(name)
        artifacts = self.client.get_run(mlflow_run_id).info.artifact_uri
        source = f"{artifacts}/{model_uri.rsplit('/', 1)[-1]}"
        version = self.client.create_model_version(
            name, source, run_id=mlflow_run_id, tags={CHECKPOINT: checkpoint_digest, **tags}
        )
        return self.version(name, int(version.version))

    def find_version(self, name: str, checkpoint_digest: str) -> ModelVersion | None:
        """Return the version that was registered from a checkpoint, if any."""
        versions = self.client.search_model_versions(f"name = '{name}'")
        numbers = [int(v.version) for v in versions if v.tags.get(CHECKPOINT) == checkpoint_digest]
        return self.version(name, min(numbers)) if numbers else None

    def version(self, name: str, version: int) -> ModelVersion:
        """Return a version with its aliases.

        Raises
        ------
        RegistryError
            If there is no such version.
        """
        from mlflow.exceptions import MlflowException

        try:
            found = self.client.get_model_version(name, str(version))
        except MlflowException as error:
            raise RegistryError(
                f"there is no version {version} of {name}: {error.message}",
                expected="a registered version",
                fix="holdfast ledger log shows the versions; holdfast train makes one",
            ) from error
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
            fetched = mlflow.artifacts.download_artifacts(
                artifact_uri=f"{source}/{MODEL_ARTIFACTS}",
                dst_path=directory,
                tracking_uri=self.tracking_uri,
            )
            # MLflow keeps the directory under the name that it had where it was made.
            next(Path(fetched).iterdir()).replace(into)
        return into

    def _experiment(self, name: str, artifact_location: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is None:
            return str(self.client.create_experiment(name, artifact_location=artifact_location))
        if found.lifecycle_stage != "active":
            raise RegistryError(
                f"the experiment {name} was deleted",
                expected="an active experiment",
                fix=f"restore it (mlflow experiments restore -x {found.experiment_id}) or set "
                "register.experiment to another name",
            )
        return str(found.experiment_id)

    def _log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        flat = [Param(key, value[:_MAX_PARAM]) for key, value in _flat(params)]
        for start in range(0, len(flat), _PARAMS_A_CALL):
            self.client.log_batch(run_id, params=flat[start : start + _PARAMS_A_CALL])

    def _log_datasets(self, run_id: str, datasets: Sequence[DatasetRef]) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs = [
            DatasetInput(
                Dataset(
                    name=dataset.name,
                    digest=dataset.digest[:36],
                    source_type="local",
                    source=json.dumps({"uri": str(dataset.path)}),
                    profile=json.dumps({"num_rows": dataset.n_examples}),
                ),
                tags=[InputTag("mlflow.data.context", dataset.split)],
            )
            for dataset in datasets
        ]
        self.client.log_inputs(run_id, inputs)


def _flat(params: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested parameters as ``section.key`` and text."""
    flat = []
    for key, value in params.items():
        if isinstance(value, Mapping) and value:
            flat += _flat(value, f"{prefix}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            flat.append((f"{prefix}{key}".replace("*", "_"), text))
    return flat
