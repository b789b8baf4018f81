"""Workers of a search in one directory: one at a time trains the same values."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone_at(state: Path, key: str) -> Iterator[None]:
    """Hold what the training of a fingerprint writes; whoever else wants it waits.

    A killed holder's lock vanishes with it.
    """
    with _lock_file(state, key).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def if_nobody_is_at(state: Path, key: str) -> Iterator[bool]:
    """Hold it where nobody else does; say whether that is so."""
    with _lock_file(state, key).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _lock_file(state: Path, key: str) -> Path:
    path = state / "tuning" / f"{key[:16]}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
