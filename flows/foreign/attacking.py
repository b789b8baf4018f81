"""A named model under attack on a user's rows, alone or beside another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from flows.arena import Arena, results_path
from flows.attack_runs import merge_runs
from flows.attack_stopping import run_until_decided
from flows.commands.attack import Attack, attack_settings, refuse_mistakes
from flows.foreign.joining import join_attacks
from flows.foreign.judging import (
    Asked,
    Evaluated,
    evaluated,
    kept,
    match_model_and_rows,
    notes,
    telling,
)
from flows.foreign.named import NamedModel
from flows.foreign.opening import identified, with_labels
from flows.foreign.rows import Judged
from flows.foreign.shards import run_job
from flows.foreign.work import ATTACKED_ROWS, Job, arena_of, parts_of, rows_of
from flows.pipeline import Call
from pipeline_steps.attack_types import AgainstVersion, AttackResult, UnderAttack
from pipeline_steps.errors import ConfigurationError, UsageError
from pipeline_steps.evaluation.attacks.attack import drawn_rows, others
from pipeline_steps.evaluation.attacks.measures import attack_metrics
from pipeline_steps.evaluation.attacks.pair import beside_other, crossed
from pipeline_steps.evaluation.attacks.results_file import AboutAttack, read_results
from pipeline_steps.evaluation.attacks.stopping import Bounds, fair_report, fair_summary
from pipeline_steps.evaluation.attacks.summary import summarise_all
from pipeline_steps.evaluation.attacks.worst_case import worst_case
from pipeline_steps.evaluation.evaluate import evaluate
from pipeline_steps.judging_params import AttackParams, EvaluateParams, GateParams
from pipeline_steps.predictions_file import describe_predictions
from pipeline_steps.types import DatasetRef, Predictions

_HELD_OUT = 1_000
_OTHER = "the other model"


@dataclass(frozen=True)
class Side:
    """One model, the rows on which it is attacked, others that are not, and where it all lies."""

    model: NamedModel
    rows: DatasetRef
    held_out: DatasetRef
    directory: Path
    attack: AttackParams

    def path(self, run: str) -> Path:
        """Return the predictions under an attack; the results lie beside them."""
        return self.directory / "attacks" / f"{run}.parquet"

    def results(self, recipe: str) -> tuple[Sequence[AttackResult], AboutAttack]:
        """Return what became of each row, and what it cost."""
        return read_results(results_path(self.path(recipe)))

    @cached_property
    def arena(self) -> Arena:
        """The model and its rows in this process."""
        held_out = rows_of(self.held_out)
        return arena_of(self.model, rows_of(self.rows), self.rows.digest, self.attack, held_out)


def attack_model(
    asked: Asked,
    settings: Mapping[str, Any],
    params: EvaluateParams,
    *,
    call: Call,
    other: NamedModel | None = None,
    floor: float | None = None,
) -> Evaluated:
    """Return what attacks make of a model on rows of the data.

    Parameters
    ----------
    asked : Asked
        Model and rows.
    settings : mapping
        Keys of ``attack``; what is ``None`` is as ``params.yaml`` has it by default.
    params : EvaluateParams
        Metrics and their intervals.
    call : Call
        Calls the steps.
    other : NamedModel, optional
        Another model, which is attacked on the same rows, and each by the other's texts.
    floor : float, optional
        Of the accuracy under attack: where it stops early, that is decided.

    Raises
    ------
    HoldfastError
        As :func:`evaluate_model`, or if there is no such attack, or not on such a model.
    """
    attack = attack_settings(AttackParams(scout="none"), dict(settings))
    bounds = _bounds(attack, floor, other, asked.workers)
    model, judged = call(match_model_and_rows, asked)
    refuse_mistakes(model.problem, attack, GateParams(), model.masked_model)
    opponent = None if other is None else call(match_other, other, asked, model, judged)
    rows, rest = _drawn(judged[0], attack)
    with kept(asked.directory) as directory, notes() as place:
        given = (rows.written(directory / "rows"), rest.written(place))
        sides = [Side(model, *given, directory, attack)]
        if opponent is not None:
            sides.append(Side(opponent, *given, directory / "against", attack))
        suites = call(attack_sides, sides, bounds, params.confidence, asked.workers)
        attacks = tuple(_attack(suite, params) for suite in suites)
        together = call(tell_sides, sides, params)
    found = {"attacks": attacks, "under_attack": together, "against": opponent}
    return evaluated(model, [rows], **found)


def match_other(
    other: NamedModel, asked: Asked, model: NamedModel, judged: Sequence[Judged]
) -> NamedModel:
    """Return another model for the same problem, with its labels, which must be those of the rows.

    Raises
    ------
    HoldfastError
        If it is for another problem, or cannot answer the rows' labels.
    """
    found = identified(other, None if other.kind == "checkpoint" else asked.problem)
    if found.problem != model.problem:
        raise ConfigurationError(
            f"--against is for {found.problem}, and --model for {model.problem}",
            expected="two models for one problem",
            fix="name another model, or say what an address is for by --problem",
        )
    return with_labels(found, [row for rows in judged for row in rows.rows])


def attack_sides(
    sides: Sequence[Side], bounds: Bounds, confidence: float, workers: int
) -> list[Predictions]:
    """Return the answers of the first model under each attack; those of both are on disk."""
    attack = sides[0].attack
    if attack.stop_early:
        for recipe in attack.recipes:
            paths = [side.path(recipe) for side in sides]
            arenas = [side.arena for side in sides]
            least = GateParams().min_rows
            run_until_decided(recipe, arenas, paths, bounds, least, confidence)
    else:
        for side in sides:
            _attack_all_rows(side, confidence, workers)
    return [describe_predictions(sides[0].path(recipe)) for recipe in attack.recipes]


def tell_sides(sides: Sequence[Side], params: EvaluateParams) -> UnderAttack:
    """Return what the attacks say together, beside the other model where there is one."""
    ours, recipes = sides[0], sides[0].attack.recipes
    found = summarise_all({recipe: ours.results(recipe) for recipe in recipes}, params)
    if len(sides) > 1:
        found = _beside(found, ours, sides[1], params.confidence)
    fair = tuple(fair_summary(attack) for attack in found.attacks)
    return found.model_copy(update={"attacks": fair})


def _bounds(
    attack: AttackParams, floor: float | None, other: NamedModel | None, workers: int
) -> Bounds:
    """Return what is to be decided where attacks stop early.

    Raises
    ------
    UsageError
        If nothing is, or several processes would each attack rows of their own.
    """
    margin = None if other is None else GateParams().default_margin
    bounds = Bounds(floor=floor, margin=margin, other=_OTHER)
    if floor is not None and not attack.stop_early:
        raise UsageError(
            "--floor without --stop-early",
            expected="a floor that ends the attack once it is decided",
            fix="add --stop-early, or leave --floor out",
        )
    if attack.stop_early and not bounds.words:
        raise UsageError(
            "--stop-early, and nothing that could be decided",
            expected="a floor of the accuracy under attack, or a model to hold it against",
            fix="add --floor 0.5, or --against MODEL",
        )
    if attack.stop_early and workers > 1:
        raise UsageError(
            f"--stop-early beside --workers {workers}",
            expected="one process: the next rows wait for what the last ones decide",
            fix="leave one of them out",
        )
    return bounds


def _drawn(clean: Judged, attack: AttackParams) -> tuple[Judged, Judged]:
    """Return the rows that are attacked, and some that are not."""
    picked = drawn_rows(clean.rows, attack.n_examples, attack.seed, target=attack.target)
    drawn = tuple(dict(row) for row in picked)
    rest = tuple(dict(row) for row in others(clean.rows, drawn, attack.seed)[:_HELD_OUT])
    return replace(clean, rows=drawn), replace(clean, name="held_out", rows=rest)


def _attack_all_rows(side: Side, confidence: float, workers: int) -> None:
    """Attack all rows with every seed; the worst of several seeds on each row is what counts."""
    with notes() as place:
        parts = tuple(parts_of(side.rows, ATTACKED_ROWS, place))
        job = Job(model=side.model, parts=parts, attack=side.attack, held_out=side.held_out)
        run_job(job, place, workers=workers, progress=telling(parts))
        for recipe in side.attack.recipes:
            seeds = side.attack.every_seed
            if len(seeds) == 1:
                join_attacks(parts, recipe, seeds[0], side.path(recipe))
                continue
            runs = {
                f"seed {seed}": join_attacks(
                    parts, recipe, seed, side.path(f"{recipe}-seed-{seed}")
                )
                for seed in seeds
            }
            merge_runs(recipe, side.path(recipe), runs, confidence, seeds=True)


def _beside(found: UnderAttack, ours: Side, theirs: Side, confidence: float) -> UnderAttack:
    """Return what is said of attacks with the other model under the same ones."""
    versus = {
        attack.name: _versus(attack.name, ours, theirs, confidence) for attack in found.attacks
    }
    attacks = tuple(
        attack.model_copy(update={"versus": versus[attack.name]}) for attack in found.attacks
    )
    worst = found.worst
    if worst is not None:
        of_both = [
            worst_case({name: side.results(name)[0] for name in versus}, confidence).results
            for side in (ours, theirs)
        ]
        pair = beside_other(_OTHER, of_both[0], of_both[1], (), confidence)
        worst = worst.model_copy(update={"versus": pair})
    return UnderAttack(attacks=attacks, worst=worst)


def _versus(recipe: str, ours: Side, theirs: Side, confidence: float) -> AgainstVersion:
    texts = [side.results(recipe)[0] for side in (ours, theirs)]
    judges = (
        lambda results: ours.arena.breaks(recipe, results),
        lambda results: theirs.arena.breaks(recipe, results),
    )
    transfers = crossed(_OTHER, texts[0], texts[1], judges, confidence)
    return beside_other(_OTHER, texts[0], texts[1], transfers, confidence)


def _attack(suite: Predictions, params: EvaluateParams) -> Attack:
    report = evaluate(suite, params)
    results, about = read_results(results_path(suite.path))
    metrics = report.metrics + attack_metrics(results, params)
    report = report.model_copy(update={"metrics": metrics})
    if about.stopped is not None:
        report = fair_report(report, about.stopped)
    return Attack(report=report, cost=about.cost, results=tuple(results))
