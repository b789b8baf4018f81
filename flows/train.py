"""finetune -> predict -> evaluate -> gate -> register -> promote, for one set of parameters.

A run is addressed by its fingerprint. A finished one is reused; an interrupted one goes on from
what lies on disk, because every result is a file named by the content that it was made from.
"""

from __future__ import annotations

import time

from flows.attacking import attack_suites
from flows.base_needs import refuse_unfit_base
from flows.bounding import bound_rows
from flows.candidate import (
    compare_with_champion,
    evaluate_attacks,
    evaluate_suites,
    finetune_model,
    predict_suites,
)
from flows.judging import collect_evidence, judge, weigh_beside
from flows.leaning import explain_failures
from flows.pipeline import Call, call_directly
from flows.prepare_data import Datasets, prepare_data
from flows.record import (
    Judged,
    UnfinishedOnFailure,
    finish_run,
    promote_version,
    register_version,
    start_run,
    write_report,
)
from flows.registry_access import follow_ledger
from flows.results import TrainResult, find_finished
from flows.training_plan import TrainingPlan, plan_training
from flows.under_attack import summarise_attacks
from flows.workspace import Workspace
from pipeline_steps.types import Checkpoint, DatasetRef, Value


class Registered(Value):
    """A version that is judged again: its weights, and what they learnt from (train, valid)."""

    checkpoint: Checkpoint
    learnt: tuple[DatasetRef, DatasetRef]

    def recorded(self, datasets: Datasets) -> Datasets:
        """Return today's suites beside the rows that the version learnt from, for its record."""
        train, valid = self.learnt
        return datasets.model_copy(update={"train": train, "valid": valid})


def train(
    workspace: Workspace, *, call: Call = call_directly, may_promote: bool = True
) -> TrainResult:
    """Return the result of the workspace's data and parameters; unchanged work is not repeated.

    Without ``may_promote`` a candidate that the gate lets pass stays challenger.
    """
    started = time.perf_counter()
    refuse_unfit_base(workspace.params)
    datasets = prepare_data(workspace, call=call)
    plan = call(plan_training, workspace, datasets)
    result = finished_run(workspace, datasets, plan, call=call, may_promote=may_promote)
    return result.model_copy(update={"seconds": round(time.perf_counter() - started, 2)})


def finished_run(
    workspace: Workspace,
    datasets: Datasets,
    plan: TrainingPlan,
    *,
    call: Call,
    may_promote: bool = True,
    registered: Registered | None = None,
) -> TrainResult:
    """Return the result of a run that was finished before, or of a new one.

    One whose verdict stands no more, as where another version has become champion, is judged anew,
    with the checkpoint and the predictions that there are. What a killed promotion has left undone
    is done. A ``registered`` version is judged only.
    """
    result = call(find_finished, workspace, plan)
    if result is None:
        return train_candidate(
            workspace, datasets, plan, call=call, may_promote=may_promote, registered=registered
        )
    call(follow_ledger, workspace)
    return result


def train_candidate(
    workspace: Workspace,
    datasets: Datasets,
    plan: TrainingPlan,
    *,
    call: Call,
    may_promote: bool = True,
    registered: Registered | None = None,
) -> TrainResult:
    """Return the result of a new candidate: trained, judged, registered and, if due, promoted."""
    recorded = datasets if registered is None else registered.recorded(datasets)
    mlflow_run_id = call(start_run, workspace, recorded, plan)
    with UnfinishedOnFailure(workspace, mlflow_run_id):
        if registered is None:
            checkpoint = call(finetune_model, workspace, datasets, plan)
        else:
            checkpoint = registered.checkpoint
        predicted = call(predict_suites, workspace, datasets, checkpoint)
        attacked = call(attack_suites, workspace, datasets, checkpoint)
        reports = call(evaluate_suites, workspace, datasets, predicted)
        reports += call(evaluate_attacks, workspace, attacked)
        reports += call(bound_rows, workspace, datasets, checkpoint)
        comparisons = call(
            compare_with_champion, workspace, datasets, checkpoint, predicted, attacked
        )
        attacks = call(summarise_attacks, workspace, datasets, checkpoint, attacked)
        failures = call(explain_failures, datasets, checkpoint, predicted.judged[0])
        beside = call(weigh_beside, workspace, datasets, checkpoint, comparisons)
        evidence = call(
            collect_evidence, workspace, datasets, checkpoint, predicted, attacked, reports, beside
        )
        decision = call(judge, workspace, plan, reports, comparisons, beside, evidence)
        version = call(register_version, workspace, mlflow_run_id, checkpoint, datasets, decision)
        if may_promote:
            call(promote_version, workspace, version, decision, plan.fingerprint)
        judged = Judged(
            reports=tuple(reports),
            comparisons=tuple(comparisons or ()),
            decision=decision,
            under_attack=attacks,
            failures=failures,
        )
        report = call(write_report, workspace, plan, recorded, checkpoint, judged, version)
        return call(finish_run, workspace, plan, mlflow_run_id, reports, decision, version, report)
