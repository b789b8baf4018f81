"""The work on a model, cut into parts of fixed size, so that any number of processes does the same.

A part holds the same rows whoever does it, is batched by itself, and is written to a file of its
own; the whole is the parts in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from flows.arena import Arena, results_path
from flows.attack_services import Services
from flows.foreign.named import NamedModel
from flows.foreign.opening import opened_victim
from flows.victims import Victim
from pipeline_steps.evaluation.attacks.passage import Row
from pipeline_steps.judging_params import AttackParams
from pipeline_steps.predictions_file import write_predictions
from pipeline_steps.types import DatasetRef, Value

PREDICTED_ROWS, ATTACKED_ROWS = 256, 32
"""Rows of a part. Fewer share fewer batches; more leave processes idle at the end."""

Progress = Callable[[int], None]
"""Called with the number of parts that are done."""


class Part(Value):
    """Some rows of one dataset; ``output`` names the predictions, or the directory of attacks."""

    dataset: DatasetRef
    start: int
    stop: int
    output: Path


class Job(Value):
    """What is to be done with a model: predict the parts' rows, or attack them.

    ``held_out``: rows that are not attacked, in the order in which they are to be used.
    """

    model: NamedModel
    parts: tuple[Part, ...]
    attack: AttackParams | None = None
    held_out: DatasetRef | None = None

    @property
    def attack_runs(self) -> list[tuple[str, int]]:
        """Every attack with every seed, in the order in which they are run on a part."""
        asked = self.attack or AttackParams()
        return [(recipe, seed) for recipe in asked.recipes for seed in asked.every_seed]

    def of_shard(self, index: int, count: int) -> tuple[Part, ...]:
        """Return the parts of one of several shards; neighbours go to different shards."""
        return self.parts[index::count]


def parts_of(dataset: DatasetRef, size: int, directory: Path) -> list[Part]:
    """Return the parts of a dataset, whose outputs go below ``directory``."""
    return [
        Part(
            dataset=dataset,
            start=start,
            stop=min(start + size, dataset.n_examples),
            output=directory / f"{dataset.name}-{number:06d}.parquet",
        )
        for number, start in enumerate(range(0, dataset.n_examples, size))
    ]


def run_parts(job: Job, parts: Sequence[Part], progress: Progress) -> None:
    """Do some parts of a job, one after the other."""
    if not parts:
        return
    victim = opened_victim(job.model)
    held_out = rows_of(job.held_out) if job.held_out else ()
    asked = job.attack or AttackParams()
    services = _services(victim, job.model, held_out, asked)
    for number, (part, rows) in enumerate(_with_rows(parts), start=1):
        if job.attack is None:
            _predict(victim, part, rows, job.model)
        else:
            _attack(victim, services, part, rows, job)
        progress(number)


def attack_part_path(part: Part, recipe: str, seed: int) -> Path:
    """Return the predictions of a part under an attack; its results lie beside them."""
    return part.output.with_suffix("") / f"{recipe}-seed-{seed}.parquet"


def arena_of(
    model: NamedModel,
    rows: list[Row],
    dataset_digest: str,
    attack: AttackParams,
    held_out: Sequence[Row],
) -> Arena:
    """Return a model and the rows on which it is attacked."""
    victim = opened_victim(model)
    services = _services(victim, model, held_out, attack)
    names = {"checkpoint_digest": model.digest, "dataset_digest": dataset_digest}
    return Arena(victim, None, rows, attack, names, services)


def _with_rows(parts: Sequence[Part]) -> Iterator[tuple[Part, list[Row]]]:
    """Yield each part with its rows; a file is read once for the parts that follow each other."""
    import pyarrow.parquet as pq

    path, table = None, None
    for part in parts:
        if part.dataset.path != path:
            path, table = part.dataset.path, pq.read_table(part.dataset.path)
        assert table is not None  # noqa: S101 - it was just read
        yield part, table.slice(part.start, part.stop - part.start).to_pylist()


def rows_of(dataset: DatasetRef) -> list[Row]:
    """Return the rows of a dataset."""
    import pyarrow.parquet as pq

    rows: list[Row] = pq.read_table(dataset.path).to_pylist()
    return rows


def _services(
    victim: Victim, model: NamedModel, held_out: Sequence[Row], asked: AttackParams
) -> Services:
    return Services(victim, model.masked_model, held_out, asked.target, asked.synonyms_from)


def _predict(victim: Victim, part: Part, rows: list[Row], model: NamedModel) -> None:
    write_predictions(
        part.output,
        victim.predictions(rows),
        checkpoint_digest=model.digest,
        dataset_digest=part.dataset.digest,
        suite=part.dataset.name,
        kind=part.dataset.kind,
        problem=model.problem,
    )


def _attack(victim: Victim, services: Services, part: Part, rows: list[Row], job: Job) -> None:
    """Attack the rows of a part by each recipe and seed; within it an answer is asked once."""
    assert job.attack is not None  # noqa: S101 - whoever calls has looked
    names = {"checkpoint_digest": job.model.digest, "dataset_digest": part.dataset.digest}
    arena = Arena(victim, None, rows, job.attack, names, services)
    for recipe, seed in job.attack_runs:
        path = attack_part_path(part, recipe, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        arena.attack(recipe, path, seed=seed)
    assert results_path(path).exists()  # noqa: S101 - written last
