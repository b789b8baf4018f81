"""What is kept of a run: the MLflow run, the model version, the report and the result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.prepare_data import Datasets
from flows.registry_access import append_once, open_ledger, open_tracker
from flows.training_plan import TrainingPlan
from flows.workspace import Workspace
from pipeline_steps.files import write_text_atomically
from pipeline_steps.predictions_file import read_predictions
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.provenance import provenance
from pipeline_steps.registry.smoke_test import SmokeRow
from pipeline_steps.reporting.report import RunRecord, render_report
from pipeline_steps.reporting.training_facts import training_metrics
from pipeline_steps.types import (
    Checkpoint,
    EvaluationReport,
    GateDecision,
    ModelVersion,
    Value,
    Verdict,
)

if TYPE_CHECKING:
    from pipeline_steps.registry.tracking import Tracker

_SMOKE_ROWS = 16
RESULT_FILE = "result.json"
DECISION_FILE = "decision.json"
TRAINING_FINGERPRINT = "holdfast.training_fingerprint"
_EVALUATION_FILE = "evaluation.json"
_REPORT_FILE = "report.html"
_KEPT_FILES = (DECISION_FILE, _EVALUATION_FILE, _REPORT_FILE, RESULT_FILE)


class TrainResult(Value):
    """What ``holdfast train --json`` prints; the fields are a contract."""

    fingerprint: str
    version: int
    verdict: Verdict
    reused: bool
    metrics: dict[str, dict[str, Any]]
    report: str
    seconds: float


def find_finished(workspace: Workspace, plan: TrainingPlan) -> TrainResult | None:
    """Return the result of a finished run with this fingerprint, or ``None``."""
    tracker = open_tracker(workspace)
    run = tracker.find_run(plan.fingerprint)
    if run is None or not run.finished:
        return None
    directory = workspace.run_directory(plan.fingerprint)
    if not _is_complete(directory):
        tracker.download_files(run.mlflow_run_id, into=directory)
    if not _is_complete(directory):  # removed by hand, here and there: the run is finished anew
        return None
    text = (directory / RESULT_FILE).read_text(encoding="utf-8")
    here = {"reused": True, "report": str(directory / _REPORT_FILE)}
    return TrainResult.model_validate_json(text).model_copy(update=here)


def _is_complete(directory: Path) -> bool:
    return all((directory / name).exists() for name in _KEPT_FILES)


def start_run(workspace: Workspace, datasets: Datasets, plan: TrainingPlan) -> str:
    """Return the id of the MLflow run of this fingerprint, new or interrupted earlier."""
    origin = provenance(workspace.root, ())
    tags = {
        TRAINING_FINGERPRINT: plan.training_fingerprint,
        "holdfast.base_digest": plan.base_digest,
        "holdfast.problem": workspace.params.problem,
        "git.commit": origin.git_commit or "none",
        "git.dirty": str(origin.git_dirty),
        "dvc.lock.sha256": origin.lock_digest or "none",
    }
    return open_tracker(workspace).start_run(
        plan.fingerprint,
        name=f"{workspace.params.register_.model_name}-{plan.fingerprint[:8]}",
        tags=tags,
        params=workspace.params.model_dump(mode="json", by_alias=True),
        datasets=[datasets.train, datasets.valid, *datasets.judged],
    )


@dataclass(frozen=True)
class UnfinishedOnFailure:
    """Lets the MLflow run of a block that fails or is interrupted say so; the next one goes on."""

    workspace: Workspace
    mlflow_run_id: str

    def __enter__(self) -> None:
        """Do nothing: the run was started as RUNNING."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close the run as FAILED, or as KILLED where a person stopped it."""
        if kind is not None:
            status = "FAILED" if issubclass(kind, Exception) else "KILLED"
            open_tracker(self.workspace).finish_run(self.mlflow_run_id, status)


def register_version(
    workspace: Workspace,
    mlflow_run_id: str,
    checkpoint: Checkpoint,
    datasets: Datasets,
    decision: GateDecision,
) -> ModelVersion:
    """Return the registered version of a checkpoint; the same checkpoint is registered once."""
    tracker = open_tracker(workspace)
    tracker.log_values(mlflow_run_id, training_metrics(checkpoint.training), under="training")
    name = workspace.params.register_.model_name
    version = tracker.find_version(name, checkpoint.digest)
    if version is None:
        problem = get_problem(checkpoint.problem)
        requests = [problem.request(row) for row in _first_rows(datasets.test.path, 3)]
        model_uri = tracker.log_model(mlflow_run_id, checkpoint, input_example=requests)
        version = tracker.register(name, model_uri, mlflow_run_id, checkpoint.digest, tags={})
    append_once(
        workspace,
        "registered",
        reason=f"version {version.version} of a finished training",
        evidence={"version": version.version, "checkpoint_digest": checkpoint.digest},
    )
    tracker.tag_version(version, {"holdfast.verdict": decision.verdict})
    _name_challenger(tracker, version, decision)
    return version


def _name_challenger(tracker: Tracker, version: ModelVersion, decision: GateDecision) -> None:
    """Let the alias point to a version that may still become champion, and to no rejected one."""
    if decision.verdict is Verdict.REJECT:
        if "challenger" in version.aliases:
            tracker.delete_alias(version.name, "challenger")
    elif "champion" not in version.aliases:
        tracker.set_alias(version.name, "challenger", version.version)


def promote_version(
    workspace: Workspace,
    version: ModelVersion,
    decision: GateDecision,
    checkpoint: Checkpoint,
    datasets: Datasets,
) -> bool:
    """Return whether the version is champion now; only a PROMOTE verdict moves the alias.

    The registered artifact is loaded in a fresh process and must repeat the recorded predictions
    before the alias moves.
    """
    from pipeline_steps.registry.promote import promote

    if decision.verdict is not Verdict.PROMOTE:
        return False
    promote(
        open_tracker(workspace),
        open_ledger(workspace),
        version,
        decision,
        smoke_rows=_smoke_rows(workspace, checkpoint, datasets),
        actor=workspace.settings.actor,
        timeout=workspace.settings.smoke_test_timeout_seconds,
    )
    return True


def write_report(
    workspace: Workspace,
    plan: TrainingPlan,
    datasets: Datasets,
    checkpoint: Checkpoint,
    reports: Sequence[EvaluationReport],
    decision: GateDecision,
    version: ModelVersion,
) -> Path:
    """Return the HTML report of the run: one file that needs nothing else."""
    record = RunRecord(
        model_name=version.name,
        version=version.version,
        fingerprint=plan.fingerprint,
        reports=tuple(reports),
        decision=decision,
        validation=datasets.validation,
        sizes={d.name: d.n_examples for d in (datasets.train, datasets.valid, *datasets.judged)},
        checkpoint=checkpoint,
    )
    path = workspace.run_directory(plan.fingerprint) / _REPORT_FILE
    write_text_atomically(path, render_report(record))
    return path


def finish_run(
    workspace: Workspace,
    plan: TrainingPlan,
    mlflow_run_id: str,
    reports: Sequence[EvaluationReport],
    decision: GateDecision,
    version: ModelVersion,
    report: Path,
) -> TrainResult:
    """Return the result after logging metrics and files and closing the MLflow run."""
    directory = workspace.run_directory(plan.fingerprint)
    result = TrainResult(
        fingerprint=plan.fingerprint,
        version=version.version,
        verdict=decision.verdict,
        reused=False,
        metrics=flatten_metrics(reports),
        report=str(report),
        seconds=0.0,
    )
    evaluation = json.dumps([r.model_dump(mode="json") for r in reports], indent=1)
    write_text_atomically(directory / _EVALUATION_FILE, evaluation)
    write_text_atomically(directory / RESULT_FILE, result.model_dump_json(indent=2))
    tracker = open_tracker(workspace)
    tracker.log_reports(mlflow_run_id, reports)
    tracker.log_files(mlflow_run_id, [directory / name for name in _KEPT_FILES])
    tracker.finish_run(mlflow_run_id, "FINISHED")
    return result


def read_reports(
    workspace: Workspace, result: TrainResult
) -> tuple[list[EvaluationReport], GateDecision]:
    """Return the evaluation reports and the decision of a run."""
    directory = workspace.run_directory(result.fingerprint)
    reports = json.loads((directory / _EVALUATION_FILE).read_text(encoding="utf-8"))
    decision = (directory / DECISION_FILE).read_text(encoding="utf-8")
    return (
        [EvaluationReport.model_validate(report) for report in reports],
        GateDecision.model_validate_json(decision),
    )


def flatten_metrics(reports: Sequence[EvaluationReport]) -> dict[str, dict[str, Any]]:
    """Return ``{"<suite>/<metric>": {value, n, ci_low, ci_high, greater_is_better}}``."""
    return {
        f"{report.suite}/{metric.name}": metric.model_dump(exclude={"name"})
        for report in reports
        for metric in report.metrics
    }


def _smoke_rows(workspace: Workspace, checkpoint: Checkpoint, datasets: Datasets) -> list[SmokeRow]:
    """Return test rows with the predictions that were recorded for them, exactly as predicted."""
    path = workspace.predictions_path(checkpoint.digest, datasets.test)
    table = read_predictions(path)
    problem = get_problem(checkpoint.problem)
    rows = _first_rows(datasets.test.path, _SMOKE_ROWS)
    return [
        SmokeRow(request=problem.request(row), answer=problem.answer(predicted), score=float(score))
        for row, predicted, score in zip(
            rows, table.predicted[:_SMOKE_ROWS], table.score[:_SMOKE_ROWS], strict=True
        )
    ]


def _first_rows(path: Path, n: int) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    batch = next(pq.ParquetFile(path).iter_batches(batch_size=n), None)
    return [] if batch is None else batch.to_pylist()
