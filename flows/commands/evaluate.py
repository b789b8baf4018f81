"""``holdfast evaluate``: a registered version on today's test set and suites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from flows.bounding import bound_rows
from flows.candidate import evaluate_suites, predict_suites
from flows.pipeline import Call
from flows.prepare_data import prepare_data
from flows.registry_access import champion_version, checkpoint_of, no_champion, open_tracker
from flows.stress import refuse_unanswerable
from flows.workspace import Workspace, locked
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.judging_params import AttackParams, BallParams, CertifyParams
from pipeline_steps.reporting.summary import further_lines, metrics_lines
from pipeline_steps.types import ModelVersion


def evaluate_version(
    workspace: Workspace,
    number: int | None,
    bounds: Mapping[str, int | None] | None = None,
    *,
    call: Call,
) -> list[EvaluationReport]:
    """Return the reports of a version, by default the champion's.

    Parameters
    ----------
    workspace : Workspace
        Whose test rows and suites are answered.
    number : int, optional
        The version.
    bounds : mapping, optional
        Of ``certify`` and ``ball``: of how many rows; the rest is as ``attack`` has it.
    call : Call
        Calls the steps.

    Raises
    ------
    RegistryError
        If there is no such version.
    ConfigurationError
        If a bound does not go with the problem.
    """
    workspace = with_bounds(workspace, bounds or {})
    with locked(workspace):
        version = asked_version(workspace, number)
        datasets = prepare_data(workspace, call=call)
        checkpoint = call(checkpoint_of, workspace, version)
        refuse_unanswerable(workspace, datasets)
        predicted = call(predict_suites, workspace, datasets, checkpoint)
        reports = call(evaluate_suites, workspace, datasets, predicted)
        return [*reports, *call(bound_rows, workspace, datasets, checkpoint)]


def with_bounds(workspace: Workspace, rows: Mapping[str, int | None]) -> Workspace:
    """Return the workspace with the bounds that are asked for, and no others.

    Raises
    ------
    ConfigurationError
        If one of them does not go with the problem.
    """
    params = workspace.params
    attack = bounding(params.problem, params.attack, rows)
    return replace(workspace, params=params.model_copy(update={"attack": attack}))


def bounding(problem: str, attack: AttackParams, rows: Mapping[str, int | None]) -> AttackParams:
    """Return ``attack`` with bounds of so many rows; one without a number of rows is left out.

    Raises
    ------
    ConfigurationError
        If one of them does not go with the problem.
    """
    how: dict[str, Any] = {}
    for name, usual in (("certify", CertifyParams()), ("ball", BallParams())):
        given, n = getattr(attack, name) or usual, rows.get(name)
        how[name] = None if n is None else given.model_copy(update={"n_examples": n})
        if n is not None and problem != "text_classification":
            raise ConfigurationError(
                f"--{name} {n}, and a row of {problem} has no one label",
                expected="a bound for text_classification",
                fix=f"leave --{name} out",
            )
    return attack.model_copy(update=how)


def asked_version(workspace: Workspace, number: int | None) -> ModelVersion:
    """Return the version with a number, or the champion.

    Raises
    ------
    RegistryError
        If there is none.
    """
    name = workspace.params.register_.model_name
    if number is not None:
        return open_tracker(workspace).version(name, number)
    champion = champion_version(workspace)
    if champion is None:
        raise no_champion(
            workspace, "a version that the gate let pass, or --version with another one's number"
        )
    return champion


def lines(reports: Sequence[EvaluationReport]) -> str:
    """Return a line of headline metrics for each suite, and what else was reported."""
    return "\n".join([*metrics_lines(reports), *further_lines(reports)])
