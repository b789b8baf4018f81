"""finetune -> predict -> evaluate -> gate -> register -> promote, for one set of parameters.

A run is addressed by its fingerprint. A finished one is reused; an interrupted one goes on from
what lies on disk, because every result is a file named by the content that it was made from.
"""

from __future__ import annotations

import time

from flows.candidate import (
    compare_with_champion,
    evaluate_suites,
    finetune_model,
    judge,
    predict_suites,
)
from flows.pipeline import Call, call_directly
from flows.prepare_data import Datasets, prepare_data
from flows.record import (
    TrainResult,
    UnfinishedOnFailure,
    find_finished,
    finish_run,
    promote_version,
    register_version,
    start_run,
    write_report,
)
from flows.training_plan import TrainingPlan, plan_training
from flows.workspace import Workspace


def train(workspace: Workspace, *, call: Call = call_directly) -> TrainResult:
    """Return the result of the workspace's data and parameters; unchanged work is not repeated."""
    started = time.perf_counter()
    datasets = prepare_data(workspace, call=call)
    plan = call(plan_training, workspace, datasets)
    result = call(find_finished, workspace, plan)
    if result is None:
        result = train_candidate(workspace, datasets, plan, call=call)
    return result.model_copy(update={"seconds": round(time.perf_counter() - started, 2)})


def train_candidate(
    workspace: Workspace, datasets: Datasets, plan: TrainingPlan, *, call: Call
) -> TrainResult:
    """Return the result of a new candidate: trained, judged, registered and, if due, promoted."""
    mlflow_run_id = call(start_run, workspace, datasets, plan)
    with UnfinishedOnFailure(workspace, mlflow_run_id):
        checkpoint = call(finetune_model, workspace, datasets, plan)
        predictions = call(predict_suites, workspace, datasets, checkpoint)
        reports = call(evaluate_suites, workspace, predictions)
        comparisons = call(compare_with_champion, workspace, datasets, checkpoint, predictions)
        decision = call(judge, workspace, plan, reports, comparisons)
        version = call(register_version, workspace, mlflow_run_id, checkpoint, datasets, decision)
        call(promote_version, workspace, version, decision, checkpoint, datasets)
        report = call(
            write_report, workspace, plan, datasets, checkpoint, reports, decision, version
        )
        return call(finish_run, workspace, plan, mlflow_run_id, reports, decision, version, report)
