"""What is kept of a run: the MLflow run, the model version, the report and the result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows.prepare_data import Datasets
from flows.registry_access import open_ledger, open_tracker
from flows.training_plan import TrainingPlan
from flows.workspace import Workspace
from pipeline_steps.files import write_text_atomically
from pipeline_steps.provenance import provenance
from pipeline_steps.types import (
    Checkpoint,
    EvaluationReport,
    GateDecision,
    ModelVersion,
    Value,
    Verdict,
)

_SMOKE_ROWS = 16
RESULT_FILE = "result.json"


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
    run = open_tracker(workspace).find_run(plan.fingerprint)
    if run is None or not run.finished:
        return None
    directory = workspace.run_directory(plan.fingerprint)
    if not (directory / RESULT_FILE).exists():
        open_tracker(workspace).download_files(run.mlflow_run_id, into=directory)
    text = (directory / RESULT_FILE).read_text(encoding="utf-8")
    return TrainResult.model_validate_json(text).model_copy(update={"reused": True})


def start_run(workspace: Workspace, datasets: Datasets, plan: TrainingPlan) -> str:
    """Return the id of the MLflow run of this fingerprint, new or interrupted earlier."""
    origin = provenance(workspace.root, ())
    tags = {
        "holdfast.training_fingerprint": plan.training_fingerprint,
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


def register_version(
    workspace: Workspace,
    mlflow_run_id: str,
    checkpoint: Checkpoint,
    datasets: Datasets,
    decision: GateDecision,
) -> ModelVersion:
    """Return the registered version of a checkpoint; the same checkpoint is registered once."""
    tracker = open_tracker(workspace)
    name = workspace.params.register_.model_name
    version = tracker.find_version(name, checkpoint.digest)
    if version is None:
        texts = [row["text"] for row in _first_rows(datasets.test.path, 3)]
        model_uri = tracker.log_model(mlflow_run_id, checkpoint, input_example=texts)
        version = tracker.register(name, model_uri, mlflow_run_id, checkpoint.digest, tags={})
        open_ledger(workspace).append(
            "registered",
            model_name=name,
            actor=workspace.settings.actor,
            reason=f"version {version.version} of a finished training",
            evidence={"version": version.version, "checkpoint_digest": checkpoint.digest},
        )
    tracker.tag_version(version, {"holdfast.verdict": decision.verdict})
    if decision.verdict is not Verdict.REJECT and "champion" not in version.aliases:
        tracker.set_alias(name, "challenger", version.version)
    return version


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
    raise NotImplementedError


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
    write_text_atomically(directory / RESULT_FILE, result.model_dump_json(indent=2))
    tracker = open_tracker(workspace)
    tracker.log_reports(mlflow_run_id, reports)
    tracker.log_files(mlflow_run_id, sorted(directory.iterdir()))
    tracker.finish_run(mlflow_run_id, "FINISHED")
    return result


def flatten_metrics(reports: Sequence[EvaluationReport]) -> dict[str, dict[str, Any]]:
    """Return ``{"<suite>/<metric>": {value, n, ci_low, ci_high, greater_is_better}}``."""
    return {
        f"{report.suite}/{metric.name}": metric.model_dump(exclude={"name"})
        for report in reports
        for metric in report.metrics
    }


def _first_rows(path: Path, n: int) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    batch = next(pq.ParquetFile(path).iter_batches(batch_size=n), None)
    return [] if batch is None else batch.to_pylist()
