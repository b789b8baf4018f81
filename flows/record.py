"""What is kept of a run: the MLflow run, the model version, the report and the result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.approval import is_approved
from flows.evidence import EVIDENCE, EVIDENCE_FILE, evidence_files, read_evidence
from flows.findings import EVALUATION_FILE, beside_others, seed_spread
from flows.prepare_data import Datasets
from flows.registry_access import append_once, open_ledger, open_tracker
from flows.results import (
    KEPT_FILES,
    RECORD_FILE,
    RESULT_FILE,
    TrainResult,
    flatten_metrics,
)
from flows.training_plan import TrainingPlan
from flows.version_card import write_version_card
from flows.workspace import Workspace
from pipeline_steps.attack_types import UnderAttack
from pipeline_steps.comparison_types import PairedComparison
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.files import write_text_atomically
from pipeline_steps.finding_types import Leaning
from pipeline_steps.gate_types import GateDecision, Verdict
from pipeline_steps.predictions_file import read_predictions
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.provenance import provenance
from pipeline_steps.registry.recorded_answers import record_answers, recorded_answers
from pipeline_steps.registry.smoke_test import SmokeRow
from pipeline_steps.registry.tracked_runs import TRAINING_FINGERPRINT
from pipeline_steps.reporting.report import RunRecord, render_report
from pipeline_steps.reporting.training_facts import training_metrics
from pipeline_steps.types import Checkpoint, ModelVersion, Value

if TYPE_CHECKING:
    from pipeline_steps.registry.tracking import Tracker

_SMOKE_ROWS = 16


class Judged(Value):
    """What was found of a candidate, and the verdict."""

    reports: tuple[EvaluationReport, ...]
    comparisons: tuple[PairedComparison, ...]
    decision: GateDecision
    under_attack: UnderAttack | None = None
    failures: tuple[Leaning, ...] = ()


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
    record_answers(tracker, version, _smoke_rows(workspace, checkpoint, datasets))
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
    fingerprint: str,
) -> bool:
    """Return whether the version is champion now; only a PROMOTE verdict moves the alias.

    The registered artifact is loaded in a fresh process and must repeat the answers that were
    recorded beside it, which a rollback will ask for again, before the alias moves. What somebody
    rolled back stays out, and where the policy asks for a person, the version waits as challenger.
    """
    from pipeline_steps.registry.champions import taken_out
    from pipeline_steps.registry.promote import promote

    tracker, ledger = open_tracker(workspace), open_ledger(workspace)
    if decision.verdict is not Verdict.PROMOTE:
        return False
    if taken_out(ledger.moves(version.name), version.version):
        return False
    if not is_approved(workspace, version, decision, workspace.report_path(fingerprint)):
        return False
    promote(
        tracker,
        ledger,
        version,
        decision,
        smoke_rows=recorded_answers(tracker, version),
        actor=workspace.settings.actor,
        timeout=workspace.settings.smoke_test_timeout_seconds,
    )
    return True


def write_report(
    workspace: Workspace,
    plan: TrainingPlan,
    datasets: Datasets,
    checkpoint: Checkpoint,
    judged: Judged,
    version: ModelVersion,
) -> Path:
    """Return the HTML report of the run, which needs nothing else; its data and card beside it."""
    record = RunRecord(
        model_name=version.name,
        version=version.version,
        fingerprint=plan.fingerprint,
        reports=judged.reports,
        comparisons=judged.comparisons,
        under_attack=judged.under_attack,
        failures=judged.failures,
        seeds=seed_spread(checkpoint, workspace.params.evaluate.confidence),
        beside_others=beside_others(workspace, checkpoint, judged.reports),
        decision=judged.decision,
        validation=datasets.validation,
        sizes={d.name: d.n_examples for d in (datasets.train, datasets.valid, *datasets.judged)},
        checkpoint=checkpoint,
    )
    path = workspace.report_path(plan.fingerprint)
    write_text_atomically(path.with_name(RECORD_FILE), record.model_dump_json(indent=1))
    write_text_atomically(path, render_report(record))
    tracker = open_tracker(workspace)
    made_in = tracker.run(version.mlflow_run_id).tags
    card = write_version_card(workspace, plan, datasets, record, made_in)
    tracker.describe_version(version, card.read_text(encoding="utf-8"))
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
    write_text_atomically(directory / EVALUATION_FILE, evaluation)
    write_text_atomically(directory / RESULT_FILE, result.model_dump_json(indent=2))
    tracker = open_tracker(workspace)
    tracker.log_reports(mlflow_run_id, reports)
    tracker.log_files(mlflow_run_id, [directory / name for name in KEPT_FILES])
    evidence = read_evidence(directory / EVIDENCE_FILE)
    tracker.log_files(mlflow_run_id, evidence_files(workspace, evidence), under=EVIDENCE)
    tracker.finish_run(mlflow_run_id, "FINISHED")
    return result


def _smoke_rows(workspace: Workspace, checkpoint: Checkpoint, datasets: Datasets) -> list[SmokeRow]:
    """Return test rows with the predictions that were recorded for them, exactly as predicted.

    Those of another precision say nothing of the registered model, which answers in fp32.
    """
    path = workspace.predictions_path(checkpoint.digest, datasets.test)
    table = read_predictions(path)
    problem = get_problem(checkpoint.problem)
    rows = _first_rows(datasets.test.path, _SMOKE_ROWS)
    predicted = [
        SmokeRow(request=problem.request(row), answer=problem.answer(predicted), score=float(score))
        for row, predicted, score in zip(
            rows, table.predicted[:_SMOKE_ROWS], table.score[:_SMOKE_ROWS], strict=True
        )
    ]
    same = workspace.params.predict.precision == "fp32"
    return predicted if same else _in_full_precision(checkpoint, predicted)


def _in_full_precision(checkpoint: Checkpoint, rows: Sequence[SmokeRow]) -> list[SmokeRow]:
    from pipeline_steps.inference.predictor import Predictor

    said = Predictor.from_checkpoint(checkpoint.path).answer([row.request for row in rows])
    return [
        SmokeRow(
            request=row.request,
            answer={name: answer[name] for name in row.answer},
            score=float(answer["score"]),
        )
        for row, answer in zip(rows, said, strict=True)
    ]


def _first_rows(path: Path, n: int) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    batch = next(pq.ParquetFile(path).iter_batches(batch_size=n), None)
    return [] if batch is None else batch.to_pylist()
