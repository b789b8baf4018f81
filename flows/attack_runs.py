"""The attacks on one checkpoint: every run a file, and the worst of several runs another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from flows.arena import Arena, results_path
from flows.attack_code import attacking_code
from flows.prepare_data import Datasets
from flows.workspace import Workspace
from pipeline_steps.attack_types import AttackCost
from pipeline_steps.digests import value_digest
from pipeline_steps.evaluation.attacks.measures import held
from pipeline_steps.evaluation.attacks.merging import worst_table
from pipeline_steps.evaluation.attacks.results_file import (
    AboutAttack,
    read_results,
    write_results,
)
from pipeline_steps.evaluation.attacks.worst_case import worst_case
from pipeline_steps.predictions_file import (
    describe_predictions,
    read_predictions,
    write_predictions,
)
from pipeline_steps.types import Checkpoint, DatasetRef, Predictions

WORST_CASE = "worst_case"


class Attacks:
    """The attacks on one checkpoint, on disk or still to be run; by default on the test rows."""

    def __init__(
        self,
        workspace: Workspace,
        datasets: Datasets,
        checkpoint: Checkpoint,
        rows: DatasetRef | None = None,
    ) -> None:
        self.workspace = workspace
        self.test = rows or datasets.test
        self.checkpoint = checkpoint
        self.params = workspace.params.attack
        self.confidence = workspace.params.evaluate.confidence

    @cached_property
    def arena(self) -> Arena:
        """The loaded checkpoint and its rows; only what is not on disk needs it."""
        return Arena.of(self.checkpoint, self.test, self.params)

    def suite(self, recipe: str) -> Predictions:
        """Return the answers under one attack, the worst over its seeds on each row."""
        runs = {f"seed {seed}": self._run(recipe, seed) for seed in self.params.every_seed}
        if len(runs) == 1:
            return next(iter(runs.values()))
        return self._merged(recipe, f"-worst-of-{len(runs)}", runs, seeds=True)

    def worst(self, suites: Sequence[Predictions]) -> Predictions:
        """Return the answers under the worst of several attacks on each row."""
        runs = {suite.suite: suite for suite in suites}
        which = value_digest([*runs, self.params.seeds])
        return self._merged(WORST_CASE, f"-{which[:8]}", runs, seeds=False)

    def path(self, recipe: str, variant: str = "") -> Path:
        """Return the file of a run."""
        return self.workspace.attack_path(self.checkpoint.digest, self.test, recipe, variant)

    def _run(self, recipe: str, seed: int) -> Predictions:
        path = self.path(recipe, "" if seed == self.params.seed else f"-seed-{seed}")
        if not path.exists():
            self.arena.attack(recipe, path, seed=seed)
        return describe_predictions(path)

    def _merged(
        self, name: str, variant: str, runs: Mapping[str, Predictions], *, seeds: bool
    ) -> Predictions:
        path = self.path(name, variant)
        if not path.exists():
            merge_runs(name, path, runs, self.confidence, seeds=seeds)
        return describe_predictions(path)


def merge_runs(
    name: str, path: Path, runs: Mapping[str, Predictions], confidence: float, *, seeds: bool
) -> None:
    """Write the worst of several runs on each row as one; the results lie beside ``path``.

    Parameters
    ----------
    name : str
        Of the attack that they are together.
    path : Path
        Of the predictions.
    runs : mapping
        Name of a run -> the answers under it, of one model on the same rows.
    confidence : float
        Of the interval of each run alone.
    seeds : bool
        Whether the runs are those of one attack with several seeds.
    """
    files = {run: read_results(results_path(found.path)) for run, found in runs.items()}
    results = {run: found for run, (found, _) in files.items()}
    alone = [held(found, run, confidence) for run, found in results.items()]
    cost = AttackCost(n_queries=0)
    for _, about in files.values():
        cost = cost.plus(about.cost)
    worst = worst_case(results, confidence).results
    write_results(
        results_path(path), worst, AboutAttack(cost=cost, seeds=tuple(alone) if seeds else ())
    )
    table = worst_table(results, {run: read_predictions(found) for run, found in runs.items()})
    first = next(iter(runs.values()))
    write_predictions(
        path,
        table,
        checkpoint_digest=first.checkpoint_digest,
        dataset_digest=value_digest([name, *(run.dataset_digest for run in runs.values())]),
        suite=name,
        kind="adversarial",
        problem=first.problem,
        code=attacking_code(),
    )
