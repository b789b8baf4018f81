"""A full disk, or one that cannot be written to, said so that a user can mend it."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from types import TracebackType

from pipeline_steps.errors import HoldfastError, StorageError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}
# Libraries that write through native code keep the system's words, not its number.
_WORDS = re.compile(
    r"no space left on device|disk quota exceeded|file too large|disk is full|disk i/o error"
    r"|read-only file system|readonly database|unable to open database file|permission denied"
    r"|file write failed|unexpected pos",
    re.IGNORECASE,
)


class explained_storage_errors:  # noqa: N801 - a context manager, used as a function is
    """Let what the disk refused leave the block as a :class:`StorageError`."""

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raise the explained error in place of one that the disk caused."""
        refusal = None if error is None else explain(error)
        if refusal is not None:
            raise refusal from error


def explain(error: BaseException) -> StorageError | None:
    """Return what the disk refused, or ``None`` if the error has another cause."""
    if isinstance(error, HoldfastError) or not isinstance(error, Exception):
        return None
    words = next((w for w in map(_refused, _chain(error)) if w is not None), None)
    if words is None:
        return None
    return StorageError(
        words,
        expected="a workspace and a state directory that this user can write to, with space left",
        fix="free space or mend the permissions, then run the same command again: it goes on "
        "from here (HOLDFAST_STATE_DIR names another state directory)",
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__


def _refused(error: BaseException) -> str | None:
    if isinstance(error, OSError) and error.errno in _FULL | _FORBIDDEN:
        return f"{error.strerror}: {error.filename or 'while writing'}"
    found = None if isinstance(error, OSError) and error.errno else _WORDS.search(str(error))
    return None if found is None else str(error).strip().splitlines()[0]
