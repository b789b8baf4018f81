"""What to do where the memory of the device runs out while answers are made."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from typing import TypeVar

import torch

_LOG = logging.getLogger(__name__)
T = TypeVar("T")
_FEWEST_TOKENS = 16

# What CPU (Windows and Linux), MPS and cuBLAS say in a plain RuntimeError.
_SIGNS = ("not enough memory", "can't allocate memory", "out of memory", "cublas_status_alloc")


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


def in_smaller_batches(run: Callable[[int], T], batch_tokens: int) -> T:
    """Return what is run in batches of so many tokens, or of half as many until they fit.

    What a model makes of a row hardly depends on its batch, so the answers stay the same.

    Parameters
    ----------
    run : callable
        Runs everything in batches of the tokens that it is given.
    batch_tokens : int
        The first number to try.
    """
    while True:
        try:
            return run(batch_tokens)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or batch_tokens < _FEWEST_TOKENS:
                raise
            _LOG.warning("the memory ran out with %d tokens in a batch; on with half", batch_tokens)
        batch_tokens //= 2
        release_memory()


def release_memory() -> None:
    """Give back what nothing holds any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
