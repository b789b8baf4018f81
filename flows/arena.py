"""A loaded checkpoint and the rows on which it is attacked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from flows.attack_code import attacking_code
from flows.attack_goals import goal_of, offer_of
from flows.attack_services import Services
from flows.victims import Victim, exact_victim, scouting_victim
from pipeline_steps.attack_types import AttackCost, AttackResult
from pipeline_steps.digests import value_digest
from pipeline_steps.evaluation.attacks.attack import (
    Outcome,
    attack_rows,
    drawn_rows,
    others,
    row_read,
)
from pipeline_steps.evaluation.attacks.catalog import ATTACKS
from pipeline_steps.evaluation.attacks.drift import BesideClean, row_key
from pipeline_steps.evaluation.attacks.oracle import AnswerBook, Oracle
from pipeline_steps.evaluation.attacks.passage import Row
from pipeline_steps.evaluation.attacks.pool import Limits
from pipeline_steps.evaluation.attacks.results_file import AboutAttack, write_results
from pipeline_steps.judging_params import AttackParams
from pipeline_steps.predictions_file import write_predictions
from pipeline_steps.types import Checkpoint, DatasetRef

_COUNTED = ("n_forwards", "n_tokens", "n_padding")


class Arena:
    """A loaded checkpoint and the rows on which it is attacked.

    What the victims answered is kept from one attack to the next.
    """

    def __init__(
        self,
        victim: Victim,
        scout: Victim | None,
        rows: list[Row],
        params: AttackParams,
        names: dict[str, str],
        services: Services,
    ) -> None:
        self.victims = [victim] if scout is None else [victim, scout]
        self.victim = victim
        self.problem = victim.problem
        self.exact = _book(victim, rows, params)
        self.scout = None if scout is None else _book(scout, rows, params)
        self.rows = rows
        self.params = params
        self.names = names
        self.services = services

    @classmethod
    def of(cls, checkpoint: Checkpoint, test: DatasetRef, params: AttackParams) -> Arena:
        """Return the arena of a checkpoint and a dataset."""
        import pyarrow.parquet as pq

        victim = exact_victim(checkpoint.path)
        every = pq.read_table(test.path).to_pylist()
        rows = drawn_rows(every, params.n_examples, params.seed, target=params.target)
        names = {"checkpoint_digest": checkpoint.digest, "dataset_digest": test.digest}
        scout = scouting_victim(victim, checkpoint.path, params.scout)
        held_out = others(every, rows, params.seed)
        services = Services(
            victim, checkpoint.base_model, held_out, params.target, params.synonyms_from
        )
        return cls(victim, scout, rows, params, names, services)

    def run(
        self, name: str, *, seed: int, rows: Sequence[Row] | None = None
    ) -> tuple[Outcome, AttackCost]:
        """Return what an attack makes of rows, by default of all, and what it cost."""
        recipe, ranking = ATTACKS[name], self.params.ranking
        oracle = self.oracle(None if recipe.unscouted else self.scout)
        before = self._counts()
        outcome = attack_rows(
            self.rows if rows is None else rows,
            offer_of(self.problem, name, self.params),
            oracle,
            recipe.search(ranking),
            seed=seed,
            limits=Limits(self.params.max_queries, self.params.max_words),
            services=self.services.named(recipe.services(ranking), name),
        )
        spent = {name: n - before[name] for name, n in self._counts().items()}
        cost = AttackCost(
            **asdict(outcome.tally),
            **spent,
            cpu_seconds=outcome.cpu_seconds,
            wall_seconds=outcome.wall_seconds,
        )
        return outcome, cost

    def oracle(self, scout: AnswerBook | None = None) -> Oracle:
        """Return what answers and judges rows; what was answered before costs nothing."""
        goal = goal_of(self.problem, self.victim.labels, self.params)
        return Oracle(goal, self.exact, scout)

    def breaks(self, name: str, results: Sequence[AttackResult]) -> list[bool]:
        """Return whether texts that an attack found, here or elsewhere, break this checkpoint."""
        oracle, offer = self.oracle(), offer_of(self.problem, name, self.params)
        by_id = {str(row["example_id"]): row for row in self.rows}
        rows = [row_read(by_id[result.example_id], offer, result) for result in results]
        return [oracle.goal.judge(answer).broken for answer in oracle.exact(rows)]

    def attack(self, name: str, path: Path, *, seed: int) -> None:
        """Write the results of an attack beside ``path``, and then the predictions under it."""
        outcome, cost = self.run(name, seed=seed)
        results = self.services.with_similarity(outcome.results)
        write_results(results_path(path), results, AboutAttack(cost=cost))
        how = {**self.params.of_one_run, "run": seed, "recipe": name}
        write_predictions(
            path,
            self.victim.table(self.rows, outcome.last),
            checkpoint_digest=self.names["checkpoint_digest"],
            dataset_digest=value_digest({**how, "rows": self.names["dataset_digest"]}),
            suite=name,
            kind="adversarial",
            problem=self.problem.name,
            code=attacking_code(),
        )

    def _counts(self) -> dict[str, int]:
        counts = [victim.counts() for victim in self.victims]
        return {name: sum(count[name] for count in counts) for name in _COUNTED}


def results_path(predictions: Path) -> Path:
    """Return where the texts of an attack lie, from where the predictions under it do."""
    return predictions.with_suffix(".results.parquet")


def _book(victim: Victim, rows: list[Row], params: AttackParams) -> AnswerBook:
    """Return the answers of a victim, beside what it wrote before where the goal is drift."""
    if params.goal == "wrong":
        return AnswerBook(victim)
    return AnswerBook(BesideClean(victim, rows), key=row_key)
