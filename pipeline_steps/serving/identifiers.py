"""Ids of requests and predictions: unique over all processes, and not to be guessed.

Who knows a prediction's id can label it, so ids are the system's random numbers, not a generator's.
They are fetched many at a time: each fetch lets Python's lock go, and the thread that scores takes
it for long.
"""

from __future__ import annotations

import os
import time
from collections import deque
from functools import lru_cache

_BYTES = 16
_AT_ONCE = 256
_RANDOM_DIGITS = 20


def request_id() -> str:
    """Return an id for a request that brings none: 32 hexadecimal digits."""
    ready = _ready(os.getpid())
    while True:
        try:
            return ready.popleft()
        except IndexError:  # another thread may take what is fetched here: then once more
            _fetch(ready)


def prediction_id() -> str:
    """Return an id that no other process makes, and that sorts by time.

    The first 48 bits are milliseconds, as in UUID version 7 (RFC 9562): an index grows at its end,
    and stays quick however long it is.
    """
    return f"{time.time_ns() // 1_000_000:012x}{request_id()[:_RANDOM_DIGITS]}"


@lru_cache(maxsize=1)
def _ready(_pid: int) -> deque[str]:
    """Return what this process has fetched; a forked one begins anew, or both gave the same."""
    return deque()


def _fetch(ready: deque[str]) -> None:
    digits, width = os.urandom(_BYTES * _AT_ONCE).hex(), 2 * _BYTES
    ready.extend(digits[start : start + width] for start in range(0, len(digits), width))
