"""Halving after the memory ran out: the same step, smaller batches, an end."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.memory import is_out_of_memory
from pipeline_steps.training.memory import BatchBudget, halved

SAYINGS = (
    "[enforce fail at alloc_cpu.cpp:127] data. DefaultCPUAllocator: not enough memory: you tried",
    "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes. Error code 12",
    "MPS backend out of memory (MPS allocated: 18.13 GB)",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
)


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory."), MemoryError(), *map(RuntimeError, SAYINGS)],
)
def test_running_out_of_memory_is_recognised(error) -> None:
    assert is_out_of_memory(error)


def test_what_torch_says_on_this_cpu_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("out of memory")],
)
def test_another_error_is_not_taken_for_it(error) -> None:
    assert not is_out_of_memory(error)


@given(st.integers(2, 2**20), st.integers(1, 64), st.integers(1, 512))
def test_the_step_stays_the_same(tokens, accumulation, longest) -> None:
    budget = BatchBudget(tokens, accumulation)
    while budget.batch_tokens // 2 >= longest:
        smaller = halved(budget, longest)
        lost = (
            budget.batch_tokens * budget.accumulation_steps
            - smaller.batch_tokens * smaller.accumulation_steps
        )
        assert 0 <= lost <= budget.accumulation_steps
        assert longest <= smaller.batch_tokens < budget.batch_tokens
        budget = smaller
    with pytest.raises(TrainingError, match=rf"ran out with {budget.batch_tokens} tokens"):
        halved(budget, longest)
