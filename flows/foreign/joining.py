"""The outputs of parts as one file, in the order of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from flows.arena import results_path
from flows.foreign.work import Part, attack_part_path
from pipeline_steps.attack_types import AttackCost
from pipeline_steps.evaluation.attacks.results_file import AboutAttack, read_results, write_results
from pipeline_steps.predictions_file import (
    AnyTable,
    describe_predictions,
    read_predictions,
    write_predictions,
)
from pipeline_steps.types import Predictions


def join_predictions(files: Sequence[Path], output: Path) -> Predictions:
    """Return the predictions of parts as one file; what they are of, they say themselves."""
    about = describe_predictions(files[0])
    return write_predictions(
        output,
        join_tables([read_predictions(file) for file in files]),
        checkpoint_digest=about.checkpoint_digest,
        dataset_digest=about.dataset_digest,
        suite=about.suite,
        kind=about.kind,
        problem=about.problem,
    )


def join_tables(tables: Sequence[AnyTable]) -> AnyTable:
    """Return tables of the same labels below each other."""
    first = tables[0]
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(table, name) for table in tables])
        for name, values in vars(first).items()
        if isinstance(values, np.ndarray)
    }
    columns = {
        name: np.concatenate([table.columns[name] for table in tables]) for name in first.columns
    }
    return replace(first, **arrays, columns=columns)


def join_attacks(parts: Sequence[Part], recipe: str, seed: int, output: Path) -> Predictions:
    """Return the predictions under an attack as one file.

    The results are written beside the predictions, with what all parts cost. CPU and wall seconds
    are those of all parts together: with several workers they did not pass one after the other.
    """
    files = [attack_part_path(part, recipe, seed) for part in parts]
    found = [read_results(results_path(file)) for file in files]
    results = [result for of_part, _ in found for result in of_part]
    cost = AttackCost(n_queries=0)
    for _, about in found:
        cost = cost.plus(about.cost)
    write_results(results_path(output), results, AboutAttack(cost=cost))
    return join_predictions(files, output)
