"""Smaller batches after the memory ran out, with the same step for the optimizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pipeline_steps.errors import TrainingError
from pipeline_steps.training.saved_state import read_json, write_json

_FILE = "batches"


@dataclass(frozen=True)
class BatchBudget:
    """How the rows of an optimizer step are cut into batches.

    Parameters
    ----------
    batch_tokens : int
        Tokens in a batch, padding included.
    accumulation_steps : int
        Batches in a step.
    """

    batch_tokens: int
    accumulation_steps: int = 1


def halved(budget: BatchBudget, longest_row: int) -> BatchBudget:
    """Return the budget with batches half as large and twice as many of them in a step.

    Tokens of a step stay the same (less than ``accumulation_steps`` apart where they are odd).

    Parameters
    ----------
    budget : BatchBudget
        What did not fit.
    longest_row : int
        Tokens of the longest row: a batch holds at least that one, so smaller budgets save nothing.

    Raises
    ------
    TrainingError
        If half a batch is shorter than the longest row.

    Examples
    --------
    >>> halved(BatchBudget(1024, 2), longest_row=128)
    BatchBudget(batch_tokens=512, accumulation_steps=4)
    """
    if budget.batch_tokens // 2 < longest_row:
        raise TrainingError(
            f"the memory ran out with {budget.batch_tokens} tokens in a batch, and a row has "
            f"{longest_row}",
            expected="memory for two rows of that length",
            fix="lower finetune.max_length, or set finetune.tuning.kind to lora",
        )
    return BatchBudget(budget.batch_tokens // 2, 2 * budget.accumulation_steps)


def refuse_parts(budget: BatchBudget, comparing: Sequence[str]) -> None:
    """Refuse to cut batches whose rows are compared with each other: parts teach something else.

    Parameters
    ----------
    budget : BatchBudget
        What did not fit.
    comparing : sequence of str
        The parameters that compare rows.

    Raises
    ------
    TrainingError
        If there is one.
    """
    if comparing:
        raise TrainingError(
            f"the memory ran out with {budget.batch_tokens} tokens in a batch, and "
            f"{' and '.join(comparing)} compares the rows of a batch with each other: in parts "
            "something else would be learnt",
            expected="memory for a whole batch",
            fix="lower finetune.batch_tokens or finetune.max_length, or set finetune.tuning.kind "
            "to lora",
        )


@dataclass
class BatchParts:
    """Into how many parts each planned batch is cut; rows, order and steps stay as planned.

    Parameters
    ----------
    n_parts : int
        1: batches as planned; doubled each time that the memory runs out.
    """

    n_parts: int = 1

    def of(self, batch: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the parts of a batch, of one row at least."""
        n_rows = len(batch["input_ids"])
        n_parts = min(self.n_parts, n_rows)
        cut = {
            name: torch.tensor_split(value, n_parts)
            if isinstance(value, torch.Tensor) and value.shape[:1] == (n_rows,)
            else [value] * n_parts
            for name, value in batch.items()
        }
        return [{name: pieces[i] for name, pieces in cut.items()} for i in range(n_parts)]

    def budget(self, batch_tokens: int, accumulation_steps: int) -> BatchBudget:
        """Return what is asked for, cut into parts."""
        return BatchBudget(batch_tokens // self.n_parts, accumulation_steps * self.n_parts)

    def save(self, directory: Path) -> None:
        """Write the number of parts into a checkpoint."""
        write_json(directory, _FILE, self.n_parts)

    def load(self, directory: Path) -> None:
        """Go on with the parts of a checkpoint, or with more if the memory ran out since."""
        self.n_parts = max(self.n_parts, read_json(directory, _FILE))
