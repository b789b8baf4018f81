"""Several serving processes behind one address, started anew where one dies.

Each has its place and the socket of it; what waits there for one that died is its successor's.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from flows.pipeline import say
from flows.workspace import Workspace
from pipeline_steps.errors import HoldfastError

_NAP = 0.1
_EARLY_SECONDS = 30.0
_EARLY_DEATHS = 3


def serve_from_several(workspace: Workspace, sockets: Sequence[socket.socket]) -> None:
    """Serve from a process for each listening socket until this one gets SIGTERM or SIGINT.

    Raises
    ------
    HoldfastError
        If workers die again and again soon after their start.
    """
    with tempfile.TemporaryDirectory(prefix="holdfast-metrics-") as metrics:
        crew = _Crew(workspace, sockets, Path(metrics))
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: crew.stop())
        crew.run()


class _Crew:
    """The processes and what has become of them."""

    def __init__(
        self, workspace: Workspace, sockets: Sequence[socket.socket], metrics: Path
    ) -> None:
        self.workspace = workspace
        self.sockets = sockets
        self.metrics = metrics
        self.stopping = False
        self.deaths: list[float] = []
        self._tether, self._held = os.pipe()
        self._members: list[subprocess.Popen[bytes]] = []

    def run(self) -> None:
        """Keep the processes running until :meth:`stop`, then wait for them."""
        try:
            self._members = [self._start(place) for place in self.sockets]
            while not self.stopping:
                time.sleep(_NAP)
                self._replace_the_dead()
        finally:
            self.stop()
            for member in self._members:
                member.wait()
            os.close(self._tether)
            os.close(self._held)

    def stop(self) -> None:
        """Ask all processes to end in order."""
        self.stopping = True
        for member in self._members:
            member.terminate()

    def _start(self, listening: socket.socket) -> subprocess.Popen[bytes]:
        descriptors = (listening.fileno(), self._tether)
        command = [
            *(sys.executable, "-P", "-m", "flows.serving_worker", str(self.workspace.root)),
            *map(str, (*descriptors, len(self.sockets))),
        ]
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(self.metrics)}
        return subprocess.Popen(  # noqa: S603 - our own module
            command, pass_fds=descriptors, env=environment, start_new_session=True
        )

    def _replace_the_dead(self) -> None:
        for place, member in enumerate(self._members):
            if member.poll() is None or self.stopping:
                continue
            self._count_death(member)
            say(f"a worker ended with code {member.returncode}; another one takes its place")
            self._members[place] = self._start(self.sockets[place])

    def _count_death(self, member: subprocess.Popen[bytes]) -> None:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(member.pid, str(self.metrics))  # type: ignore[no-untyped-call]
        now = time.monotonic()
        self.deaths = [*(then for then in self.deaths if now - then < _EARLY_SECONDS), now]
        if len(self.deaths) >= _EARLY_DEATHS * len(self.sockets):
            raise HoldfastError(
                f"{len(self.deaths)} workers ended within {_EARLY_SECONDS:.0f} s; the last one "
                f"with code {member.returncode}",
                expected="workers that serve until they are asked to end",
                fix="mend what they say above, then run the command again",
            )
