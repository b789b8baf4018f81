"""Runs in MLflow: found, started, logged to, closed.

Every call names its run: MLflow's active run belongs to a thread, and in another thread a logged
metric would silently start a run of its own.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from pipeline_steps.errors import RegistryError
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.files import atomic_file
from pipeline_steps.registry.mlflow_entities import (
    METRICS_A_CALL,
    PARAMS_A_CALL,
    inputs_of,
    metric_of,
    metrics_of,
    params_of,
)
from pipeline_steps.registry.mlflow_library import PRESENT, Client, code_of
from pipeline_steps.types import DatasetRef

FINGERPRINT = "holdfast.fingerprint"
TRAINING_FINGERPRINT = "holdfast.training_fingerprint"
_FINISHED = "FINISHED"
_REPORTS = "reports"


class TrackedRun(BaseModel):
    """An MLflow run of a fingerprint, and when it was first started."""

    model_config = ConfigDict(frozen=True)

    mlflow_run_id: str
    finished: bool
    tags: dict[str, str]
    started_at: datetime


class Runs:
    """Runs of one experiment.

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
        found = [_tracked(run) for run in runs]
        return max(found, key=lambda run: run.finished, default=None)

    def runs_of_training(self, training_fingerprint: str) -> set[str]:
        """Return the ids of the runs whose weights depend on the same."""
        runs = self.client.search_runs(
            [self.experiment_id],
            filter_string=f"tags.`{TRAINING_FINGERPRINT}` = '{training_fingerprint}'",
        )
        return {str(run.info.run_id) for run in runs}

    def run(self, mlflow_run_id: str) -> TrackedRun:
        """Return a run by its id.

        Raises
        ------
        RegistryError
            If there is none, or the server cannot be asked.
        """
        return _tracked(self.client.get_run(mlflow_run_id))

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

    def log_values(self, mlflow_run_id: str, values: Mapping[str, float], under: str) -> None:
        """Log numbers as ``under/name``."""
        metrics = [metric_of(f"{under}/{name}", value) for name, value in values.items()]
        if metrics:
            self.client.log_batch(mlflow_run_id, metrics=metrics)

    def log_files(
        self, mlflow_run_id: str, paths: Iterable[Path], *, under: str = _REPORTS
    ) -> None:
        """Log files as artifacts of a run, by default under ``reports``."""
        for path in paths:
            self.client.log_artifact(mlflow_run_id, str(path), under)

    def download_files(self, mlflow_run_id: str, into: Path, *, under: str = _REPORTS) -> None:
        """Fetch what :meth:`log_files` logged into a directory."""
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as directory:
            for entry in self.client.list_artifacts(mlflow_run_id, under):
                fetched = self.client.download_artifacts(mlflow_run_id, entry.path, directory)
                with atomic_file(into / Path(fetched).name) as file:
                    shutil.copyfile(fetched, file)

    def finish_run(self, mlflow_run_id: str, status: str = _FINISHED) -> None:
        """Close a run."""
        self.client.set_terminated(mlflow_run_id, status)

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

    def _log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Log what the run does not have yet: MLflow refuses to change a parameter."""
        present = self.client.get_run(run_id).data.params
        new = [param for param in params_of(params) if param.key not in present]
        for start in range(0, len(new), PARAMS_A_CALL):
            self.client.log_batch(run_id, params=new[start : start + PARAMS_A_CALL])


def _tracked(run: Any) -> TrackedRun:
    return TrackedRun(
        mlflow_run_id=run.info.run_id,
        finished=run.info.status == _FINISHED,
        tags=dict(run.data.tags),
        started_at=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
    )
