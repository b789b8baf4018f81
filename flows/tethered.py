"""Runs a command that ends, with all that it started, when the process that asked for it ends.

A killed process cleans nothing up: what it had started would run on and write into the files of
the next run. ``python -P -m flows.tethered COMMAND ...`` therefore holds one end of a pipe whose
other end only the asking process has; when that one is gone, however it went, the whole process
group is ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def tethered(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    output: int | IO[str] = subprocess.PIPE,
) -> Iterator[subprocess.Popen[str]]:
    """Yield a process group that runs ``command``; it ends with the block or with this process.

    Its standard output and error go together, as text, to ``stdout`` or to the file ``output``.
    SIGTERM reaches the command, and the group lives until the command has ended.
    """
    held_by_it, held_by_us = os.pipe()
    try:
        process = subprocess.Popen(  # noqa: S603 - the caller's command, no shell
            [sys.executable, "-P", "-m", __name__, *command],
            cwd=cwd,
            env=dict(env),
            stdin=held_by_it,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        with process:
            try:
                yield process
            finally:
                _end_group(process)
    finally:
        os.close(held_by_it)
        os.close(held_by_us)


def _end_group(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        return
    # The group may have ended since it was asked.
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def main() -> int:
    """Return the exit code of the command in ``sys.argv``."""
    threading.Thread(target=_end_with_the_other_end, daemon=True).start()
    with subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL) as command:  # noqa: S603
        signal.signal(signal.SIGTERM, lambda *_: command.terminate())
        return command.wait()


def _end_with_the_other_end() -> None:
    """Wait until the other end of the pipe is closed (nothing is ever written), then end all."""
    os.read(sys.stdin.fileno(), 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
