"""Smaller batches after the memory ran out, with the same step for the optimizer."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pipeline_steps.errors import TrainingError

# What CPU (Windows and Linux), MPS and cuBLAS say in a plain RuntimeError.
_SIGNS = ("not enough memory", "can't allocate memory", "out of memory", "cublas_status_alloc")


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


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that the memory of the device ran out.

    Examples
    --------
    >>> is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory"))
    True
    >>> is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    False
    """
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in _SIGNS)


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
