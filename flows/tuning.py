"""The search for fine-tuning parameters: trials are trainings, scored on the valid rows alone."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flows.pipeline import Call
from flows.prepare_data import Datasets
from flows.registry_access import open_tracker
from flows.training_plan import plan_training
from flows.tuning_trial import SCORES, end_trial_run, run_trial
from flows.workspace import Workspace
from pipeline_steps.digests import value_digest
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.problem_defaults import HEADLINES, WRITING
from pipeline_steps.types import Value

if TYPE_CHECKING:
    from pipeline_steps.search.study import Study, Told


_OF_PROMPTS = ("tuning.", "base_model", "max_length", "seed")
"""Keys of ``finetune`` that decide what a model answers that is asked in words."""


class Trial(Value):
    """One set of values, and what it came to."""

    number: int
    state: str
    score: float | None
    values: dict[str, Any]
    scores: dict[str, float]


class TuneResult(Value):
    """What ``holdfast tune --json`` prints."""

    study: str
    metric: str
    present: float
    best: Trial | None
    trials: tuple[Trial, ...]
    seconds: float


def study_name(workspace: Workspace, datasets: Datasets) -> str:
    """Return the name of the search: by all that its scores depend on, but not its budget."""
    params = workspace.params
    searched = params.tune.model_dump(mode="json", exclude={"n_trials", "prune"})
    key = value_digest(
        {
            "training": plan_training(workspace, datasets).training_fingerprint,
            "noisy": [d.digest for d in datasets.noisy_valid],
            "tune": searched,
        }
    )
    return f"{params.register_.model_name}-{key[:12]}"


def refuse_unmeasurable(workspace: Workspace, datasets: Datasets) -> None:
    """Refuse to search for a score that nothing would be measured on.

    Raises
    ------
    ConfigurationError
        If ``tune.robust_weight`` is positive and ``suites.noise`` is empty, the score is of
        written texts and none is written for validation, or nothing learns.
    """
    problem, finetune = workspace.params.problem, workspace.params.finetune
    _refuse_unlearnt(finetune.tuning.kind, workspace.params.tune.space)
    if problem in WRITING and not finetune.generation.validation_rows:
        raise ConfigurationError(
            "finetune.generation.validation_rows is 0",
            expected="written texts in each evaluation of a trial: it is watched by "
            f"{HEADLINES[problem][0]}",
            fix="set finetune.generation.validation_rows to 1 or more",
        )
    weight = workspace.params.tune.robust_weight
    if weight > 0 and not datasets.noisy_valid:
        raise ConfigurationError(
            f"tune.robust_weight is {weight} and suites.noise is empty",
            expected="noise to measure robustness on",
            fix="add a suite to suites.noise, or set tune.robust_weight to 0",
        )


def _refuse_unlearnt(kind: str, space: Mapping[str, object]) -> None:
    """Refuse a search among values of learning where nothing learns: all trials would be alike.

    What the prompt is made of can be searched, and so can the kind itself.
    """
    idle = [key for key in space if not key.startswith(_OF_PROMPTS)]
    if kind == "in_context" and idle and not {"tuning", "tuning.kind"} & set(space):
        raise ConfigurationError(
            f"tune.space holds {', '.join(idle)}, and with finetune.tuning in_context nothing "
            "learns: every trial would be the same model",
            expected="a tuning that learns, or values that a prompt is made of, such as "
            "tuning.shots: [0, 4]",
            fix="set finetune.tuning to another kind, or give tune.space such values alone; "
            "without a search: holdfast train",
        )


def open_study(workspace: Workspace, name: str, worker: int = 0) -> Study:
    """Return the search of a name as one of this machine's workers sees it."""
    from pipeline_steps.search.study import Study

    who = f"{socket.gethostname()}:{workspace.root}:{worker}"
    return Study(workspace.study_url, name, workspace.params.tune, who)


def start_search(workspace: Workspace, datasets: Datasets, name: str) -> str:
    """Return the id of the MLflow run that holds the trials' runs; an earlier one goes on."""
    return open_tracker(workspace).start_run(
        name,
        name=f"tune-{name}",
        tags={"holdfast.problem": workspace.params.problem},
        params={"tune": workspace.params.tune.model_dump(mode="json")},
        datasets=[datasets.train, datasets.valid, *datasets.noisy_valid],
    )


def run_trials(
    workspace: Workspace, datasets: Datasets, name: str, mlflow_run_id: str, worker: int, call: Call
) -> None:
    """Run trials until the budget is used up; those that a kill had cut off come first."""
    study = open_study(workspace, name, worker)
    for number in study.take_over():
        end_trial_run(workspace, mlflow_run_id, number)
    while (asked := study.ask()) is not None:
        call(run_trial, workspace, datasets, study, asked, mlflow_run_id)


def summed_up(
    workspace: Workspace, study: Study, name: str, mlflow_run_id: str, present: float
) -> TuneResult:
    """Return the search so far, and close its MLflow run."""
    best = study.best()
    tracker = open_tracker(workspace)
    scores = {"present_score": present}
    if best is not None and best.score is not None:
        scores["best_score"] = best.score
    tracker.log_scores(mlflow_run_id, scores)
    tracker.finish_run(mlflow_run_id)
    return TuneResult(
        study=name,
        metric=HEADLINES[workspace.params.problem][0],
        present=present,
        best=None if best is None else _trial(best),
        trials=tuple(_trial(told) for told in study.ended()),
        seconds=0.0,
    )


def _trial(told: Told) -> Trial:
    return Trial(
        number=told.number,
        state=told.state,
        score=told.score,
        values=dict(told.values),
        scores=told.notes.get(SCORES, {}),
    )


def best_lines(trials: Sequence[Trial], n: int = 5) -> list[str]:
    """Return a line for each of the best trials."""
    complete = [t for t in trials if t.score is not None]
    complete.sort(key=lambda t: (-(t.score or 0.0), t.number))
    return [f"  {t.score:.4f}  trial {t.number}: {_values(t.values)}" for t in complete[:n]]


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in values.items()
    )
