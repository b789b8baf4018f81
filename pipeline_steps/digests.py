"""Content digests: what references carry, so that lineage follows content and not paths."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

_CHUNK_BYTES = 1 << 20


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Return the hexadecimal digest of a file's bytes, read in chunks of 1 MiB.

    ``algorithm="md5"`` gives the digest that DVC records for the same file.
    """
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def directory_digest(path: Path, *, exclude: tuple[str, ...] = ()) -> str:
    """Return one digest over the relative names and contents of all files below ``path``.

    Parameters
    ----------
    path : Path
        A directory; its own name and location do not enter the digest.
    exclude : tuple of str
        Relative POSIX names that are left out, for example a marker that stores the digest.
    """
    entries = {
        str(file.relative_to(path).as_posix()): file_digest(file)
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }
    return value_digest({name: entry for name, entry in entries.items() if name not in exclude})


def value_digest(value: Any) -> str:
    """Return the sha256 digest of a JSON-serialisable value in its canonical form.

    Examples
    --------
    >>> value_digest({"a": 1, "b": 2}) == value_digest({"b": 2, "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
