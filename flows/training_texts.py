"""Training rows as attacks rewrote them, in a file that ``finetune.augmentation`` reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from flows.arena import results_path
from flows.attack_goals import offer_of
from flows.attack_runs import Attacks
from flows.prepare_data import Datasets
from flows.workspace import Workspace
from pipeline_steps.evaluation.attacks.attack import row_read
from pipeline_steps.evaluation.attacks.results_file import read_results
from pipeline_steps.files import atomic_file
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.types import Checkpoint, Value

_TEXTS = ("example_id", "text", "text_pair", "label", "target")
_NUMBERS = ("n_changed", "n_words", "n_queries")


class TrainingTexts(Value):
    """What ``holdfast attack --training-texts`` prints: the file, and how many rows it has."""

    path: str
    version: int
    recipes: tuple[str, ...]
    n_rows: int
    n_broken: int


def attack_training_rows(
    workspace: Workspace, datasets: Datasets, checkpoint: Checkpoint, path: Path
) -> tuple[int, int]:
    """Write what each attack made of drawn training rows; return how many rows, and how many broke.

    A row that was answered wrongly before anything was changed is left out: nothing attacked it.
    The texts still fit their tags, spans and answers, as they do in the attacks themselves.
    """
    rows = list(_rewritten(workspace, datasets, checkpoint))
    _write(path, rows)
    return len(rows), sum(row["status"] == "broken" for row in rows)


def _rewritten(
    workspace: Workspace, datasets: Datasets, checkpoint: Checkpoint
) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    attacks = Attacks(workspace, datasets, checkpoint, rows=datasets.train)
    written = {str(r["example_id"]): r for r in pq.read_table(datasets.train.path).to_pylist()}
    problem = get_problem(workspace.params.problem)
    for recipe in attacks.params.recipes:
        offer = offer_of(problem, recipe, attacks.params)
        results, _ = read_results(results_path(attacks.suite(recipe).path))
        for result in results:
            before = written[result.example_id]
            if result.status == "wrong" or not result.n_changed:
                continue
            after = row_read(before, offer, result)
            yield {
                **{name: after[name] for name in _TEXTS},
                "original": before["text"],
                "original_pair": before["text_pair"],
                "recipe": recipe,
                "status": result.status,
                **{name: getattr(result, name) for name in _NUMBERS},
            }


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = (*_TEXTS, "original", "original_pair", "recipe", "status")
    schema = pa.schema(
        [*((name, pa.string()) for name in texts), *((name, pa.int64()) for name in _NUMBERS)]
    )
    with atomic_file(path) as temporary:
        pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), temporary)
