"""What the MLflow run of a version keeps: reports, decision, card; fetched and read again."""

from __future__ import annotations

import json
from pathlib import Path

from flows.findings import EVALUATION_FILE
from flows.registry_access import open_tracker
from flows.results import DECISION_FILE
from flows.workspace import Workspace
from pipeline_steps.errors import RegistryError
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.gate_types import GateDecision
from pipeline_steps.types import ModelVersion


def fetch_version_files(workspace: Workspace, version: ModelVersion) -> Path:
    """Return a directory with the files of a version's run.

    Raises
    ------
    RegistryError
        If the run keeps none: it never came to its end.
    """
    directory = workspace.state / "versions" / version.mlflow_run_id
    if not (directory / EVALUATION_FILE).exists():
        open_tracker(workspace).download_files(version.mlflow_run_id, directory)
    if not (directory / EVALUATION_FILE).exists():
        raise RegistryError(
            f"the run of version {version.version} of {version.name} keeps no {EVALUATION_FILE}",
            expected="a run that came to its end",
            fix="run holdfast train with its parameters again: it goes on from there",
        )
    return directory


def recorded_reports(directory: Path) -> list[EvaluationReport]:
    """Return the evaluation reports among a version's files."""
    reports = json.loads((directory / EVALUATION_FILE).read_text(encoding="utf-8"))
    return [EvaluationReport.model_validate(report) for report in reports]


def recorded_decision(directory: Path) -> GateDecision:
    """Return the gate's decision among a version's files."""
    return GateDecision.model_validate_json((directory / DECISION_FILE).read_text(encoding="utf-8"))
