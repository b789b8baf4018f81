"""Attacks block by block, candidate and champion side by side, until floor and margin are decided.

The rows come in the order in which they were drawn, which does not depend on what a model makes of
them; so the decision may be looked at after every block.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from flows.arena import Arena, results_path
from flows.attack_code import attacking_code
from flows.attack_runs import Attacks
from pipeline_steps.attack_types import AttackCost, AttackResult, StoppedAttack
from pipeline_steps.digests import value_digest
from pipeline_steps.evaluation.attacks.attack import in_drawn_order
from pipeline_steps.evaluation.attacks.goals import Answer
from pipeline_steps.evaluation.attacks.measures import held
from pipeline_steps.evaluation.attacks.merging import worst_table
from pipeline_steps.evaluation.attacks.passage import Row
from pipeline_steps.evaluation.attacks.results_file import AboutAttack, write_results
from pipeline_steps.evaluation.attacks.stopping import Bounds, where_it_stands
from pipeline_steps.evaluation.attacks.worst_case import worst_case
from pipeline_steps.judging_params import GateParams
from pipeline_steps.predictions_file import describe_predictions, write_predictions
from pipeline_steps.types import Predictions

_BLOCK = 25
Pair = tuple[Predictions, Predictions | None]


def attack_until_decided(recipe: str, ours: Attacks, theirs: Attacks | None) -> Pair:
    """Return the answers of both versions on as many rows as it takes; theirs where there are any.

    The first block has the rows that ``gate.min_rows`` asks for: the gate takes no fewer.
    """
    gate = ours.workspace.params.gate
    bounds = bounds_of(recipe, gate, paired=theirs is not None)
    sides = [ours] if theirs is None else [ours, theirs]
    versions = [side.checkpoint.digest for side in sides]
    how = value_digest([versions, bounds.words, gate.min_rows, ours.params.seeds, ours.confidence])
    paths = [side.path(recipe, f"-until-{how[:8]}") for side in sides]
    if not all(path.exists() for path in paths):
        arenas = [side.arena for side in sides]
        run_until_decided(recipe, arenas, paths, bounds, gate.min_rows, ours.confidence)
    found = [describe_predictions(path) for path in paths]
    return found[0], found[1] if len(found) > 1 else None


def bounds_of(recipe: str, gate: GateParams, *, paired: bool) -> Bounds:
    """Return what the gate asks of the accuracy under an attack."""
    axis = f"{recipe}/accuracy"
    margin = gate.non_inferiority.get(axis, gate.default_margin)
    return Bounds(floor=gate.floors.get(axis), margin=margin if paired else None)


class _Side:
    """One version as the attack goes on: what each seed made of the rows so far."""

    def __init__(self, arena: Arena, recipe: str, confidence: float) -> None:
        self.arena = arena
        self.recipe = recipe
        self.confidence = confidence
        self.seeds = arena.params.every_seed
        self.rows: list[Row] = []
        self.results: dict[str, list[AttackResult]] = {f"seed {s}": [] for s in self.seeds}
        self.answers: dict[str, list[Answer]] = {f"seed {s}": [] for s in self.seeds}
        self.cost = AttackCost(n_queries=0)

    def attack(self, block: Sequence[Row]) -> None:
        """Attack further rows with every seed."""
        self.rows += block
        for seed in self.seeds:
            outcome, cost = self.arena.run(self.recipe, seed=seed, rows=block)
            self.results[f"seed {seed}"] += outcome.results
            self.answers[f"seed {seed}"] += outcome.last
            self.cost = self.cost.plus(cost)

    def right(self) -> list[float]:
        """Return 1 for each row that every seed leaves right, else 0."""
        several = zip(*self.answers.values(), strict=True)
        return [float(all(a.predicted == a.truth for a in answers)) for answers in several]

    def write(self, path: Path, stopped: StoppedAttack) -> None:
        """Write results and predictions on the rows so far, the worst over seeds on each."""
        worst = worst_case(self.results, self.confidence).results
        alone = [held(found, name, self.confidence) for name, found in self.results.items()]
        seeds = tuple(alone) if len(alone) > 1 else ()
        results = self.arena.services.with_similarity(worst)
        write_results(
            results_path(path), results, AboutAttack(cost=self.cost, seeds=seeds, stopped=stopped)
        )
        table = self.arena.victim.table
        tables = {name: table(self.rows, answers) for name, answers in self.answers.items()}
        names = [row["example_id"] for row in self.rows]
        how = [self.arena.params.of_one_run, len(self.seeds), self.recipe, names]
        write_predictions(
            path,
            worst_table(self.results, tables),
            checkpoint_digest=self.arena.names["checkpoint_digest"],
            dataset_digest=value_digest([self.arena.names["dataset_digest"], *how]),
            suite=self.recipe,
            kind="adversarial",
            problem=self.arena.problem.name,
            code=attacking_code(),
        )


def run_until_decided(
    recipe: str,
    arenas: Sequence[Arena],
    paths: Sequence[Path],
    bounds: Bounds,
    least: int,
    confidence: float,
) -> None:
    """Attack one or two models on the same rows until it is decided, and write what became of them.

    Parameters
    ----------
    recipe : str
        The attack.
    arenas : sequence of Arena
        The models; the second is the one that the first is held against.
    paths : sequence of Path
        Of the predictions of each; the results lie beside them.
    bounds : Bounds
        What is to be decided.
    least : int
        Rows that are attacked in any case.
    confidence : float
        Of all intervals together, at whatever number of rows one stops.
    """
    sides = [_Side(arena, recipe, confidence) for arena in arenas]
    rows = in_drawn_order(arenas[0].rows, arenas[0].params.seed)
    stopped: StoppedAttack | None = None
    for block in _blocks(rows, least):
        for side in sides:
            side.attack(block)
        right = [side.right() for side in sides]
        theirs = right[1] if len(right) > 1 else []
        alpha = 1.0 - confidence
        stopped = where_it_stands(right[0], theirs, bounds, of=len(rows), alpha=alpha)
        if stopped.decision != "open":
            break
    for side, path in zip(sides, paths, strict=True):
        if stopped is not None:
            side.write(path, stopped)


def _blocks(rows: Sequence[Row], least: int) -> Iterator[Sequence[Row]]:
    """Yield rows: at least as many as the gate wants, then a block at a time."""
    edges = [0, *range(max(least, _BLOCK), len(rows), _BLOCK), len(rows)]
    for start, end in itertools.pairwise(edges):
        yield rows[start:end]
