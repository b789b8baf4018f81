"""Which precision pays on this machine: asked of the hardware, not of a flag."""

from __future__ import annotations

import time
from functools import cache

import torch

from pipeline_steps.errors import TrainingError

_SIZE = 512
_REPEATS = 12
_WORTH_IT = 1.3


def choose_precision(wanted: str, device: torch.device) -> str:
    """Return ``fp32``, ``bf16`` or ``fp16``; ``auto`` is decided by :func:`bf16_speedup` on a CPU.

    A CPU without AVX512-BF16 or AMX runs bf16 slower than fp32, so ``auto`` takes bf16 only where
    a matrix product is at least 1.3 times as fast.

    Raises
    ------
    TrainingError
        If fp16 is wanted where there is no CUDA GPU.
    """
    if wanted == "fp16" and device.type != "cuda":
        raise TrainingError(
            f"finetune.precision is fp16, and the device {device.type}",
            expected="a CUDA GPU: losses are scaled there so that small gradients survive",
            fix="set finetune.precision to auto",
        )
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    if device.type != "cpu":
        return "fp32"
    return "bf16" if _is_worth_it() else "fp32"


@cache
def _is_worth_it() -> bool:
    """Return the same all through a process: two measurements may lie on two sides."""
    return bf16_speedup() >= _WORTH_IT


def bf16_speedup() -> float:
    """Return how many times as fast a bf16 matrix product is as an fp32 one, on this CPU."""
    return _seconds(torch.float32) / _seconds(torch.bfloat16)


def _seconds(dtype: torch.dtype) -> float:
    """Return the best time of one product: the least disturbed by other processes."""
    matrix = torch.ones(_SIZE, _SIZE, dtype=dtype)
    best = float("inf")
    with torch.inference_mode():
        for _ in range(_REPEATS):
            started = time.perf_counter()
            torch.mm(matrix, matrix)
            best = min(best, time.perf_counter() - started)
    return best
