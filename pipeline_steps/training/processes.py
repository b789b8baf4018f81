"""Several processes that train one model: who leads, and what they tell each other.

One process is the ordinary case, in which nothing is told and everybody leads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed

from pipeline_steps.errors import TrainingError
from pipeline_steps.finetune_params import FinetuneParams

T = TypeVar("T")
_PATIENCE = timedelta(days=7)
"""How long a process waits for the others: one of them may validate for hours, alone. One that has
died is noticed by torchrun, which ends them all."""

_ALONE = {
    "adalora": "its vectors are pushed apart by gradients that processes do not average",
    "in_context": "nothing is trained",
}
"""Tunings for one process, and why."""


def begin_together() -> None:
    """Join the processes that torchrun has started, on the GPUs where there are some."""
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, timeout=_PATIENCE)


def n_processes() -> int:
    """Return how many processes train together."""
    return distributed.get_world_size() if _together() else 1


def rank() -> int:
    """Return the number of this process; the leader's is 0."""
    return distributed.get_rank() if _together() else 0


def wait_for_all() -> None:
    """Return when every process has come here."""
    if _together():
        distributed.barrier()


def led(function: Callable[[], T]) -> T:
    """Return what a function returns in the leader, in every process; the others wait."""
    if not _together():
        return function()
    answer = [function() if rank() == 0 else None]
    distributed.broadcast_object_list(answer, src=0)
    return answer[0]  # type: ignore[return-value]


def summed(value: int, device: torch.device) -> int:
    """Return the sum of a number over all processes."""
    if not _together():
        return value
    total = torch.tensor(value, device=device)
    distributed.all_reduce(total)
    return int(total)


def added_up(values: Mapping[str, float], device: torch.device) -> dict[str, float]:
    """Return named numbers, the same names in every process, summed over all processes."""
    if not _together() or not values:
        return dict(values)
    total = torch.tensor(list(values.values()), device=device)
    distributed.all_reduce(total)
    return dict(zip(values, total.tolist(), strict=True))


def averaged(value: torch.Tensor) -> torch.Tensor:
    """Return the mean of a tensor over all processes."""
    if not _together():
        return value
    total = value.detach().clone()
    distributed.all_reduce(total)
    return total / n_processes()


def draw_apart(seed: int) -> None:
    """Let every process but the leader draw other random numbers: its rows need other masks."""
    if rank() > 0:
        torch.manual_seed(seed + 1_000_003 * rank())


def accumulation_of_process(params: FinetuneParams) -> int:
    """Return how many of a step's batches this process runs one after the other.

    ``finetune.accumulation_steps`` batches make a step, whoever runs them: so the number of
    processes changes the time and not the result.

    Raises
    ------
    TrainingError
        If the batches cannot be shared out evenly.
    """
    together = n_processes()
    if params.accumulation_steps % together:
        raise TrainingError(
            f"finetune.accumulation_steps is {params.accumulation_steps}, and {together} processes "
            "share a step",
            expected="batches of a step that can be shared out evenly",
            fix=f"set finetune.accumulation_steps to a multiple of {together}",
        )
    return params.accumulation_steps // together


def refuse_alone_only(params: FinetuneParams) -> None:
    """Refuse what one process alone can do.

    Raises
    ------
    TrainingError
        If several train together and it is asked for.
    """
    kind = params.tuning.kind
    asked = [f"tuning.kind {kind} ({_ALONE[kind]})"] if kind in _ALONE else []
    if params.few_shot is not None:
        asked.append("few_shot (its pairs are learnt in a loop of its own)")
    if n_processes() > 1 and asked:
        raise TrainingError(
            f"finetune: {', '.join(asked)} with {n_processes()} processes",
            expected="one process for these",
            fix="unset HOLDFAST_PROCESSES, or leave them out in params.yaml",
        )


def _together() -> bool:
    return distributed.is_available() and distributed.is_initialized()
