"""One of several serving processes.

Its words: ``python -P -m flows.serving_worker ROOT SOCKET TETHER N SHARED``. SOCKET and TETHER are
numbers of inherited file descriptors, SHARED is a directory of all N workers. It ends as after
SIGTERM when the process that started it is gone.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from pathlib import Path

from flows.pipeline import say
from flows.serving import serve_here
from flows.workspace import Workspace
from pipeline_steps.errors import HoldfastError


def main() -> int:
    """Return the exit code after serving."""
    root, listening, tether, workers, shared = sys.argv[1:]
    threading.Thread(target=_end_with, args=(int(tether),), daemon=True).start()
    try:
        workspace = Workspace.open(Path(root))
        place = socket.socket(fileno=int(listening))
        serve_here(workspace, place, workers=int(workers), shared=Path(shared))
    except HoldfastError as error:
        say(f"holdfast: {error}")
        return error.exit_code
    return 0


def _end_with(tether: int) -> None:
    """Wait until the other end of a pipe is closed, then end in order."""
    os.read(tether, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
