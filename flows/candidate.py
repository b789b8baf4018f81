"""From datasets to a judged candidate: each function is one visible task."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

from flows.arena import results_path
from flows.attacking import suites_against
from flows.prepare_data import Datasets
from flows.registry_access import champion_version, checkpoint_of, open_tracker
from flows.stress import count_unchanged, read_behaviour, read_marks, read_texts
from flows.training_cost import measured
from flows.training_plan import TrainingPlan
from flows.training_processes import finetune_together
from flows.workspace import Workspace
from pipeline_steps.comparison_types import PairedComparison
from pipeline_steps.evaluation.attacks.measures import attack_metrics
from pipeline_steps.evaluation.attacks.results_file import read_results
from pipeline_steps.evaluation.attacks.stopping import fair_comparisons, fair_report
from pipeline_steps.evaluation.behaviour.verdicts import (
    behaviour_report,
    judge_tests,
    read_answers,
)
from pipeline_steps.evaluation.evaluate import evaluate
from pipeline_steps.evaluation.pairs import compare_all
from pipeline_steps.evaluation.stress.suites import evaluate_all
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.inference.checkpoint import META
from pipeline_steps.types import Checkpoint, DatasetRef, Predictions, Value


def finetune_model(workspace: Workspace, datasets: Datasets, plan: TrainingPlan) -> Checkpoint:
    """Return the checkpoint of the plan; an interrupted training goes on where it was.

    One that was trained elsewhere and registered is fetched: another machine would give other
    weights, and so another candidate.
    """
    from pipeline_steps.training.finetune import finetune

    registered = _registered(workspace, datasets, plan)
    if registered is not None:
        return registered
    what = (
        datasets.train,
        datasets.valid,
        workspace.params.finetune,
        workspace.checkpoint_directory(plan.training_fingerprint),
    )
    work = workspace.state / "training" / plan.training_fingerprint[:16]
    together, problem = workspace.settings.processes, workspace.params.problem
    made_before = (what[-1] / META).exists()  # then there is nothing to measure
    cost = workspace.cost_path(plan.training_fingerprint)
    with nullcontext() if made_before else measured(cost):
        if together > 1:
            return finetune_together(together, *what, work=work, problem=problem)
        return finetune(*what, work=work, problem=problem)


def _registered(workspace: Workspace, datasets: Datasets, plan: TrainingPlan) -> Checkpoint | None:
    """Return the registered checkpoint of the plan where none lies here, else ``None``."""
    if (workspace.checkpoint_directory(plan.training_fingerprint) / META).exists():
        return None
    name = workspace.params.register_.model_name
    version = open_tracker(workspace).find_trained(name, plan.training_fingerprint)
    if version is None:
        return None
    found = checkpoint_of(workspace, version)
    read = (found.train_digest, found.valid_digest, found.base_digest)
    same = read == (datasets.train.digest, datasets.valid.digest, plan.base_digest)
    return found if same else None


class Predicted(Value):
    """One checkpoint's outputs: on what it is judged on, on valid, on the behavioural tests."""

    judged: tuple[Predictions, ...]
    valid: Predictions
    behaviour: Predictions | None = None


def predict_suites(workspace: Workspace, datasets: Datasets, checkpoint: Checkpoint) -> Predicted:
    """Return the checkpoint's outputs on the test set, every suite, valid and behavioural tests.

    It is one pass each, and none for what was predicted before.
    """
    behaviour = read_behaviour(workspace, datasets)
    further = [datasets.valid] if behaviour is None else [datasets.valid, behaviour.dataset]
    found = _predict(workspace, checkpoint, [*datasets.judged, *further])
    n = len(datasets.judged)
    return Predicted(
        judged=tuple(found[:n]),
        valid=found[n],
        behaviour=None if behaviour is None else found[n + 1],
    )


def evaluate_suites(
    workspace: Workspace, datasets: Datasets, predicted: Predicted
) -> list[EvaluationReport]:
    """Return one report a suite, then that of the temperature and that of the behaviour."""
    params = workspace.params.evaluate
    reports = evaluate_all(
        predicted.judged,
        params,
        valid=predicted.valid,
        texts=read_texts(workspace, datasets),
        unchanged=count_unchanged(datasets.test, datasets.judged),
    )
    behaviour = read_behaviour(workspace, datasets)
    if behaviour is not None and predicted.behaviour is not None:
        answers = read_answers(predicted.behaviour, behaviour.cases)
        results = judge_tests(behaviour.declared, behaviour.cases, answers, params.confidence)
        reports.append(behaviour_report(results, predicted.behaviour, params.confidence))
    return reports


def evaluate_attacks(
    workspace: Workspace, attacked: Sequence[Predictions]
) -> list[EvaluationReport]:
    """Return one report an attack: the metrics of its predictions, and what it needed."""
    params = workspace.params.evaluate
    reports = []
    for suite in attacked:
        report = evaluate(suite, params)
        results, about = read_results(results_path(suite.path))
        metrics = report.metrics + attack_metrics(results, params)
        report = report.model_copy(update={"metrics": metrics})
        reports.append(report if about.stopped is None else fair_report(report, about.stopped))
    return reports


def compare_with_champion(
    workspace: Workspace,
    datasets: Datasets,
    checkpoint: Checkpoint,
    predicted: Predicted,
    attacked: Sequence[Predictions] = (),
) -> list[PairedComparison] | None:
    """Return candidate against champion on the same rows; ``None`` before the first champion.

    A candidate that is the champion's own checkpoint is compared too: the gate names it so.
    """
    champion = champion_suites(workspace, datasets, checkpoint)
    if champion is None:
        return None
    candidate = [*predicted.judged, *attacked]
    marks = read_marks(workspace, datasets)
    found = compare_all(candidate, champion, workspace.params.evaluate, marks)
    stopped = {suite.suite: read_results(results_path(suite.path))[1].stopped for suite in attacked}
    return fair_comparisons(found, stopped)


def champion_suites(
    workspace: Workspace, datasets: Datasets, checkpoint: Checkpoint
) -> list[Predictions] | None:
    """Return the champion's outputs on every suite and under every attack, or ``None``.

    What it answered before is read again, if the same code answered it.
    """
    version = champion_version(workspace)
    if version is None:
        return None
    same = version.checkpoint_digest == checkpoint.digest
    theirs = checkpoint if same else checkpoint_of(workspace, version)
    champion = _predict(workspace, theirs, datasets.judged)
    other = None if same else theirs
    ours, attacked = suites_against(workspace, datasets, checkpoint, other)
    return [*champion, *(ours if same else attacked)]


def _predict(
    workspace: Workspace, checkpoint: Checkpoint, datasets: Sequence[DatasetRef]
) -> list[Predictions]:
    from pipeline_steps.inference.predict import predict_all

    jobs = [(d, workspace.predictions_path(checkpoint.digest, d)) for d in datasets]
    return predict_all(checkpoint, jobs, workspace.params.predict)
