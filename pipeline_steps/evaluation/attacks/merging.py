"""Several attacks on the same rows as one: each row as the attack left it that harms it most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline_steps.attack_types import AttackResult
from pipeline_steps.evaluation.attacks.worst_case import worst_runs
from pipeline_steps.predictions_file import AnyTable, PredictionTable


def worst_table(
    runs: Mapping[str, Sequence[AttackResult]], tables: Mapping[str, AnyTable]
) -> AnyTable:
    """Return the predictions on each row under the run that harms it most.

    So accuracy and every other metric, comparison and floor reads the worst case like any suite.
    """
    names = worst_runs(runs)
    several = list(tables)
    choice = [several.index(name) for name in names]
    first = tables[several[0]]
    columns: dict[str, Any] = {
        field: _picked([getattr(table, field) for table in tables.values()], choice)
        for field in _outputs(first)
    }
    return replace(first, **columns)


def _outputs(table: AnyTable) -> tuple[str, ...]:
    return ("logits",) if isinstance(table, PredictionTable) else ("predicted", "score")


def _picked(columns: Sequence[Any], choice: Sequence[int]) -> Any:
    return np.stack([columns[which][row] for row, which in enumerate(choice)])
