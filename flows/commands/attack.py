"""``holdfast attack``: what attacks make of a registered version, now and with other settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flows.arena import results_path
from flows.attack_needs import refuse_missing_lists
from flows.attack_runs import WORST_CASE
from flows.attacking import suites_against
from flows.candidate import evaluate_attacks
from flows.commands.evaluate import asked_version
from flows.pipeline import Call
from flows.prepare_data import Datasets, prepare_data
from flows.registry_access import checkpoint_of
from flows.under_attack import under_attack
from flows.workspace import Workspace, locked
from pipeline_steps.attack_mistakes import attack_mistakes
from pipeline_steps.attack_types import AttackCost, AttackResult, UnderAttack
from pipeline_steps.errors import ConfigurationError, UsageError
from pipeline_steps.evaluation.attacks.results_file import read_results
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.files import write_text_atomically
from pipeline_steps.judging_params import AttackParams, GateParams
from pipeline_steps.reporting.attack_page import render_attack_page
from pipeline_steps.types import Checkpoint, Predictions, Value

_DEFAULT_RECIPES = ("deepwordbug",)


class Attack(Value):
    """A report of one attack, what it cost, and what became of each row."""

    report: EvaluationReport
    cost: AttackCost
    results: tuple[AttackResult, ...]


class Attacked(Value):
    """What ``holdfast attack --json`` prints."""

    version: int
    attacks: tuple[Attack, ...]
    under_attack: UnderAttack


def attack_version(
    workspace: Workspace,
    number: int | None,
    settings: dict[str, Any],
    *,
    call: Call,
    against: int | None = None,
    html: Path | None = None,
) -> Attacked:
    """Return what the attacks make of a version, by default the champion.

    Parameters
    ----------
    workspace : Workspace
        Whose test rows are attacked.
    number : int, optional
        The version.
    settings : dict
        Keys of ``attack`` to read in place of those in ``params.yaml``.
    call : Call
        Calls the steps.
    against : int, optional
        Another version, which is attacked too, and each by the other's texts.
    html : Path, optional
        Where a page of it all is written.

    Raises
    ------
    RegistryError
        If there is no such version.
    """
    asked = with_attacks(workspace, settings)
    with locked(asked):
        version = asked_version(asked, number)
        other = None if against is None else asked_version(asked, against)
        datasets = prepare_data(asked, call=call)
        checkpoint = call(checkpoint_of, asked, version)
        opponent = None if other is None else call(checkpoint_of, asked, other)
        suites, _ = call(suites_against, asked, datasets, checkpoint, opponent)
        name = "" if other is None else f"version {other.version}"
        found = call(tell_attacks, asked, datasets, checkpoint, suites, opponent, name)
    attacked = Attacked(version=version.version, **found)
    if html is not None:
        title = f"{version.name}, version {version.version}"
        write_text_atomically(html, render_attack_page(title, attacked.under_attack))
    return attacked


def tell_attacks(
    workspace: Workspace,
    datasets: Datasets,
    checkpoint: Checkpoint,
    suites: Sequence[Predictions],
    opponent: Checkpoint | None,
    name: str,
) -> dict[str, Any]:
    """Return the attacks with their reports, and what they say together."""
    reports = evaluate_attacks(workspace, suites)
    attacks = []
    for suite, report in zip(suites, reports, strict=True):
        results, about = read_results(results_path(suite.path))
        if suite.suite != WORST_CASE:
            attacks.append(Attack(report=report, cost=about.cost, results=tuple(results)))
    together = under_attack(workspace, datasets, checkpoint, suites, opponent, name)
    return {"attacks": tuple(attacks), "under_attack": together}


def with_attacks(workspace: Workspace, settings: dict[str, Any]) -> Workspace:
    """Return the workspace with other settings of ``attack``; one attack at least.

    Raises
    ------
    ConfigurationError
        If there is no such recipe, a value is none of those that a key can have, or it does not go
        with the problem.
    """
    params = workspace.params
    attack = attack_settings(params.attack, settings)
    refuse_mistakes(params.problem, attack, params.gate, params.finetune.base_model)
    return replace(workspace, params=params.model_copy(update={"attack": attack}))


def refuse_mistakes(problem: str, attack: AttackParams, gate: GateParams, base_model: str) -> None:
    """Refuse attacks and settings that do not go with a problem, or lack a list of characters.

    Raises
    ------
    ConfigurationError
        Naming them all.
    MissingDependencyError
        Naming the extra that brings the list.
    """
    refuse_missing_lists(attack)
    mistakes = attack_mistakes(problem, attack, gate, base_model)
    if mistakes:
        raise ConfigurationError(
            "; ".join(mistakes),
            expected="attacks and settings that go with the problem",
            fix="holdfast attack --list says what each attack does",
        )


def version_number(text: str) -> int:
    """Return the number of another version, as ``--against`` names it.

    Raises
    ------
    UsageError
        If it is none.
    """
    if not text.isdecimal():
        raise UsageError(
            f"--against {text}, and the model is a version of a workspace",
            expected="the number of another version",
            fix="give --against N; another model stands beside --model",
        )
    return int(text)


def attack_settings(params: AttackParams, settings: dict[str, Any]) -> AttackParams:
    """Return parameters with others in the place of some; one attack at least.

    Raises
    ------
    ConfigurationError
        If a value is none of those that a key can have.
    """
    given = {name: value for name, value in settings.items() if value not in (None, [], ())}
    values = {"recipes": params.recipes or _DEFAULT_RECIPES} | given
    try:
        return AttackParams.model_validate({**params.model_dump(), **values})
    except ValidationError as error:
        mistakes = [f"--{m['loc'][0]} {m['input']}: {m['msg']}" for m in error.errors()]
        raise ConfigurationError(
            "; ".join(mistakes),
            expected="a value that the section attack of params.yaml may have",
            fix="holdfast attack --help",
        ) from error
