"""What the training of a version took, where no retrain has ended yet that would tell."""

from __future__ import annotations

from datetime import datetime

from flows.registry_access import open_ledger, open_tracker
from flows.retraining.recording import minutes_of
from flows.training_cost import read_cost
from flows.workspace import Workspace
from pipeline_steps.errors import RegistryError
from pipeline_steps.registry.tracked_runs import TRAINING_FINGERPRINT, TrackedRun
from pipeline_steps.types import ModelVersion

_REGISTERED = "registered"


def training_minutes(workspace: Workspace, version: ModelVersion) -> float | None:
    """Return the minutes that the training of a version took; ``None`` where no record tells.

    Those that were measured where it was trained. Elsewhere the time from the start of its MLflow
    run to its registration, pauses of an interrupted run included.
    """
    try:
        run = open_tracker(workspace).run(version.mlflow_run_id)
    except RegistryError:  # it was removed; a registry that is gone stops others before
        return None
    cost = read_cost(workspace.cost_path(run.tags.get(TRAINING_FINGERPRINT, "")))
    seconds = _until_registered(workspace, version, run) if cost is None else cost.wall_seconds
    return None if seconds is None else minutes_of(seconds)


def _until_registered(workspace: Workspace, version: ModelVersion, run: TrackedRun) -> float | None:
    told = [
        datetime.fromisoformat(entry.created_at)
        for entry in open_ledger(workspace).entries(version.name)
        if entry.event == _REGISTERED and entry.evidence["version"] == version.version
    ]
    return max((told[0] - run.started_at).total_seconds(), 0.0) if told else None
