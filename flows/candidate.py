"""From datasets to a judged candidate: each function is one visible task."""

from __future__ import annotations

from collections.abc import Sequence

from flows.prepare_data import Datasets
from flows.record import DECISION_FILE
from flows.registry_access import append_once, champion_version, checkpoint_of
from flows.training_plan import TrainingPlan
from flows.training_processes import finetune_together
from flows.workspace import Workspace
from pipeline_steps.evaluation.compare import compare
from pipeline_steps.evaluation.evaluate import evaluate
from pipeline_steps.files import write_text_atomically
from pipeline_steps.registry.gate import gate
from pipeline_steps.types import (
    Checkpoint,
    EvaluationReport,
    GateDecision,
    PairedComparison,
    Predictions,
)


def finetune_model(workspace: Workspace, datasets: Datasets, plan: TrainingPlan) -> Checkpoint:
    """Return the checkpoint of the plan; an interrupted training goes on where it was."""
    from pipeline_steps.training.finetune import finetune

    what = (
        datasets.train,
        datasets.valid,
        workspace.params.finetune,
        workspace.checkpoint_directory(plan.training_fingerprint),
    )
    work = workspace.state / "training" / plan.training_fingerprint[:16]
    together = workspace.settings.processes
    if together > 1:
        return finetune_together(together, *what, work=work, problem=workspace.params.problem)
    return finetune(*what, work=work, problem=workspace.params.problem)


def predict_suites(
    workspace: Workspace, datasets: Datasets, checkpoint: Checkpoint
) -> list[Predictions]:
    """Return the checkpoint's outputs on the test set and every suite: one pass each."""
    from pipeline_steps.inference.predict import predict_all

    jobs = [(d, workspace.predictions_path(checkpoint.digest, d)) for d in datasets.judged]
    return predict_all(checkpoint, jobs, workspace.params.predict)


def evaluate_suites(
    workspace: Workspace, predictions: Sequence[Predictions]
) -> list[EvaluationReport]:
    """Return one report a suite."""
    return [evaluate(suite, workspace.params.evaluate) for suite in predictions]


def compare_with_champion(
    workspace: Workspace,
    datasets: Datasets,
    checkpoint: Checkpoint,
    predictions: list[Predictions],
) -> list[PairedComparison] | None:
    """Return candidate against champion on the same rows; ``None`` before the first champion.

    A candidate that is the champion's own checkpoint is compared too: the gate names it so.
    """
    version = champion_version(workspace)
    if version is None:
        return None
    champion = predictions
    if version.checkpoint_digest != checkpoint.digest:
        champion = predict_suites(workspace, datasets, checkpoint_of(workspace, version))
    return [
        compare(ours, theirs, workspace.params.evaluate)
        for ours, theirs in zip(predictions, champion, strict=True)
    ]


def judge(
    workspace: Workspace,
    plan: TrainingPlan,
    reports: Sequence[EvaluationReport],
    comparisons: Sequence[PairedComparison] | None,
) -> GateDecision:
    """Return the gate's decision and write it to the ledger, once for each run and champion.

    A decision on disk stands if it was made against today's champion, or made this candidate the
    champion: a run that was killed after its promotion finds its own verdict again.
    """
    file = workspace.run_directory(plan.fingerprint) / DECISION_FILE
    if file.exists():
        earlier = GateDecision.model_validate_json(file.read_text(encoding="utf-8"))
        if _still_holds(workspace, earlier):
            return earlier
    decision = gate(reports, comparisons, workspace.params.gate)
    append_once(
        workspace,
        "gate_verdict",
        reason=f"{decision.verdict}: {'; '.join(decision.reasons)}",
        evidence={"fingerprint": plan.fingerprint, **decision.model_dump(mode="json")},
    )
    write_text_atomically(file, decision.model_dump_json(indent=2))
    return decision


def _still_holds(workspace: Workspace, decision: GateDecision) -> bool:
    version = champion_version(workspace)
    today = None if version is None else version.checkpoint_digest
    return today in (decision.champion_digest, decision.candidate_digest)
