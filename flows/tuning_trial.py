"""One trial of a search: a training with other values, scored on the valid rows alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.prepare_data import Datasets
from flows.registry_access import open_tracker
from flows.training_plan import plan_training
from flows.tuning_locks import alone_at, if_nobody_is_at
from flows.workspace import Workspace
from pipeline_steps.errors import CheckpointError, ConfigurationError, TrainingError
from pipeline_steps.evaluation.evaluate import evaluate
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.problem_defaults import HEADLINES
from pipeline_steps.search_params import with_values
from pipeline_steps.types import Checkpoint

if TYPE_CHECKING:
    from pipeline_steps.search.study import Asked, Study

SCORES = "scores"
_KEPT = "training_fingerprint"
_UNTRAINABLE = (ConfigurationError, CheckpointError, TrainingError)
Listener = Callable[[int, Mapping[str, float]], None]


class PrunedError(Exception):
    """A trial is not worth finishing."""


def present_score(workspace: Workspace, datasets: Datasets) -> float:
    """Return the score of the parameters as they stand: what a search has to beat."""
    return _score(workspace, datasets, _trained(workspace, datasets))[0]


def run_trial(
    workspace: Workspace, datasets: Datasets, study: Study, asked: Asked, mlflow_run_id: str
) -> None:
    """Train and score one set of values, and tell the study; a run in MLflow shows it."""
    try:
        tried = _with_values(workspace, asked.values)
        key = _fingerprint(tried, datasets)
    except _UNTRAINABLE as reason:  # each value was allowed, and these are not together
        _end_without_score(study, asked, reason, failed=True)
        return
    run_id = _start_trial_run(tried, datasets, asked, mlflow_run_id)
    with alone_at(workspace.state, key):  # another worker may have drawn the same values
        outdone = _ended(tried, datasets, study, asked, run_id)
    _keep_the_best(workspace, datasets, study, outdone)


def _ended(
    tried: Workspace, datasets: Datasets, study: Study, asked: Asked, run_id: str
) -> set[str]:
    """Return the trainings of which one at most is now the best, and tell how the trial ended."""
    key, tracker = _fingerprint(tried, datasets), open_tracker(tried)
    try:
        checkpoint = _trained(tried, datasets, _pruning(tried, study, asked, run_id))
    except (PrunedError, *_UNTRAINABLE) as reason:
        _remove_training(tried, key)
        failed = not isinstance(reason, PrunedError)
        _end_without_score(study, asked, reason, failed=failed)
        tracker.finish_run(run_id, "FAILED" if failed else "KILLED")
        return set()
    score, reports = _score(tried, datasets, checkpoint)
    scores = {r.suite: _metric(tried, r) for r in reports}
    before = study.best()
    study.note(asked.number, {_KEPT: key, SCORES: scores})
    study.tell(asked.number, score)
    tracker.log_reports(run_id, reports)
    tracker.log_scores(run_id, {"score": score})
    tracker.finish_run(run_id)
    return {key} if before is None else {key, before.notes[_KEPT]}


def _end_without_score(study: Study, asked: Asked, reason: Exception, *, failed: bool) -> None:
    study.note(asked.number, {"reason": str(reason)})
    study.stopped(asked.number, failed=failed)


def _with_values(workspace: Workspace, values: Mapping[str, Any]) -> Workspace:
    finetune = with_values(workspace.params.finetune, values)
    return replace(workspace, params=workspace.params.model_copy(update={"finetune": finetune}))


def _fingerprint(workspace: Workspace, datasets: Datasets) -> str:
    return plan_training(workspace, datasets).training_fingerprint


def _trained(
    workspace: Workspace, datasets: Datasets, listener: Listener | None = None
) -> Checkpoint:
    """Return the checkpoint of the workspace's parameters, where ``holdfast train`` finds it."""
    from pipeline_steps.training.finetune import finetune

    key = _fingerprint(workspace, datasets)
    return finetune(
        datasets.train,
        datasets.valid,
        workspace.params.finetune,
        workspace.checkpoint_directory(key),
        problem=workspace.params.problem,
        work=_work(workspace, key),
        listener=listener,
    )


def _pruning(workspace: Workspace, study: Study, asked: Asked, run_id: str) -> Listener:
    metric = HEADLINES[workspace.params.problem][0]
    tracker = open_tracker(workspace)

    def listen(evaluation: int, scores: Mapping[str, float]) -> None:
        tracker.log_scores(run_id, {f"valid/{metric}/curve": scores[metric]}, evaluation)
        if study.report(asked.number, evaluation, scores[metric]):
            raise PrunedError(f"below the median at evaluation {evaluation}")

    return listen


def _score(
    workspace: Workspace, datasets: Datasets, checkpoint: Checkpoint
) -> tuple[float, list[EvaluationReport]]:
    """Return the score of a checkpoint and the reports that it is made of, the clean one first."""
    from pipeline_steps.inference.predict import predict_all

    scored = (datasets.valid, *datasets.noisy_valid)
    jobs = [(d, workspace.predictions_path(checkpoint.digest, d)) for d in scored]
    predictions = predict_all(checkpoint, jobs, workspace.params.predict)
    reports = [evaluate(p, workspace.params.evaluate) for p in predictions]
    clean, *noisy = (_metric(workspace, report) for report in reports)
    weight = workspace.params.tune.robust_weight
    robust = sum(noisy) / len(noisy) if noisy else 0.0
    return (1 - weight) * clean + weight * robust, reports


def _metric(workspace: Workspace, report: EvaluationReport) -> float:
    found = report.metric(HEADLINES[workspace.params.problem][0])
    return 0.0 if found is None or found.value is None else found.value


def _start_trial_run(workspace: Workspace, datasets: Datasets, asked: Asked, parent: str) -> str:
    return open_tracker(workspace).start_run(
        f"{parent}-{asked.number}",
        name=f"trial-{asked.number}",
        tags={"mlflow.parentRunId": parent, "holdfast.trial": str(asked.number)},
        params={"finetune": workspace.params.finetune.model_dump(mode="json")},
        datasets=[datasets.train, datasets.valid],
    )


def end_trial_run(workspace: Workspace, parent: str, number: int) -> None:
    """Close the run in MLflow of a trial that was cut off: it is tried again under a new number."""
    tracker = open_tracker(workspace)
    run = tracker.find_run(f"{parent}-{number}")
    if run is not None:
        tracker.finish_run(run.mlflow_run_id, "KILLED")


def _keep_the_best(
    workspace: Workspace, datasets: Datasets, study: Study, outdone: AbstractSet[str]
) -> None:
    """Remove the weights of trials that are not the best; those of the present values stay.

    So do those that another worker is at: it removes them when it has done.
    """
    best = study.best()
    kept = {_fingerprint(workspace, datasets)}
    if best is not None:
        kept.add(best.notes[_KEPT])
    for key in outdone - kept:
        with if_nobody_is_at(workspace.state, key) as mine:
            if mine:
                shutil.rmtree(workspace.checkpoint_directory(key), ignore_errors=True)


def _remove_training(workspace: Workspace, key: str) -> None:
    shutil.rmtree(_work(workspace, key), ignore_errors=True)


def _work(workspace: Workspace, key: str) -> Path:
    return workspace.state / "training" / key[:16]
