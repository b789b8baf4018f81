"""What is left to each address of its rows a minute: in one process, or in a file of several."""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import struct
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

Bucket = tuple[float, float]
"""How many rows were left, and when: seconds of a clock that all who share the bucket read."""
_REMEMBERED = 10_000
_SLOTS = 16_384
_LOOKED_AT = 16  # slots in which an address may stand; the one idle for longest makes room
_SLOT = struct.Struct("<Qdd")  # the address's digest, 0: nobody; rows; seconds


class Buckets(Protocol):
    """Where buckets are kept."""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let nobody else change a bucket for the time of the block."""
        ...

    def get(self, address: str) -> Bucket | None:
        """Return the bucket of an address; ``None``: it has none, or has been idle for long."""
        ...

    def put(self, address: str, bucket: Bucket) -> None:
        """Keep the bucket of an address."""
        ...


class OwnBuckets:
    """Buckets of one process; those of the last addresses."""

    def __init__(self) -> None:
        self._buckets: dict[str, Bucket] = {}

    @contextmanager
    def held(self) -> Iterator[None]:
        """Do nothing: one thread asks."""
        yield

    def get(self, address: str) -> Bucket | None:
        """Return the bucket of an address."""
        return self._buckets.get(address)

    def put(self, address: str, bucket: Bucket) -> None:
        """Keep a bucket; the newest stands last, and the first one makes room."""
        self._buckets.pop(address, None)
        self._buckets[address] = bucket
        if len(self._buckets) > _REMEMBERED:
            del self._buckets[next(iter(self._buckets))]


class SharedBuckets:
    """Buckets that all processes share which name the same file.

    An address stands in one of the slots behind the place that its digest says.

    Parameters
    ----------
    path : Path
        Made where it is missing; a process that is killed leaves it as it is.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        weakref.finalize(self, os.close, self._file)
        size = _SLOTS * _SLOT.size
        os.ftruncate(self._file, size)
        self._slots = mmap.mmap(self._file, size)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for the other processes; the kernel lets go for one that is killed."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def get(self, address: str) -> Bucket | None:
        """Return the bucket of an address."""
        key, places = _places(address)
        found = (_SLOT.unpack_from(self._slots, place) for place in places)
        return next(((left, since) for other, left, since in found if other == key), None)

    def put(self, address: str, bucket: Bucket) -> None:
        """Keep a bucket in its own slot, in an empty one, or in the one that was idle longest."""
        key, places = _places(address)
        _SLOT.pack_into(self._slots, min(places, key=lambda p: self._age(p, key)), key, *bucket)

    def _age(self, place: int, key: int) -> tuple[int, float]:
        other, _, since = _SLOT.unpack_from(self._slots, place)
        return {key: 0, 0: 1}.get(other, 2), since


def _places(address: str) -> tuple[int, list[int]]:
    digest = hashlib.blake2b(address.encode(errors="replace"), digest_size=8).digest()
    key = int.from_bytes(digest, "little") or 1
    return key, [(key + n) % _SLOTS * _SLOT.size for n in range(_LOOKED_AT)]
