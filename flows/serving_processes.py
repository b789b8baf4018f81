"""Several serving processes behind one address, started anew where one dies.

Each has its place and the socket of it. Where one dies the others get all new connections until its
successor, which loads the champion first, listens there.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

from flows.listening import listen_no_more, listens
from flows.pipeline import say
from flows.workspace import Workspace
from pipeline_steps.errors import HoldfastError

_NAP = 0.1
_EARLY_SECONDS = 30.0
_EARLY_DEATHS = 3


def serve_from_several(
    workspace: Workspace,
    sockets: Sequence[socket.socket],
    on_start: Callable[[], None] = lambda: None,
) -> None:
    """Serve from a process for each socket until this one gets SIGTERM or SIGINT.

    Parameters
    ----------
    on_start : callable
        Called when the first of them listens.

    Raises
    ------
    HoldfastError
        If workers die again and again soon after their start, or before any can answer.
    """
    with tempfile.TemporaryDirectory(prefix="holdfast-workers-") as shared:
        crew = _Crew(workspace, sockets, Path(shared), on_start)
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: crew.stop())
        crew.run()


class _Crew:
    """The processes and what has become of them."""

    def __init__(
        self,
        workspace: Workspace,
        sockets: Sequence[socket.socket],
        shared: Path,
        on_start: Callable[[], None],
    ) -> None:
        self.workspace = workspace
        self.sockets = sockets
        self.shared = shared
        self.on_start = on_start
        self.announced = False
        self.stopping = False
        # Of all that can be waited for, this alone may be told from within a signal handler.
        self._asked_to_stop: SimpleQueue[None] = SimpleQueue()
        self.deaths: list[float] = []
        self.in_vain = 0
        self._tether, self._held = os.pipe()
        self._members: list[subprocess.Popen[bytes]] = []

    def run(self) -> None:
        """Keep the processes running until :meth:`stop`, then wait for them."""
        try:
            self._members = [self._start(place) for place in self.sockets]
            while not self.stopping:
                self._nap()
                self._announce()
                self._replace_the_dead()
        finally:
            self.stop()
            for place in self.sockets:
                place.close()  # at once: whoever is let in after the workers' last look is cut off
            for member in self._members:
                member.wait()
            os.close(self._tether)
            os.close(self._held)

    def stop(self) -> None:
        """Ask all processes to end in order."""
        self.stopping = True
        self._asked_to_stop.put(None)
        for member in self._members:
            member.terminate()

    def _nap(self) -> None:
        with suppress(Empty):
            self._asked_to_stop.get(timeout=_NAP)

    def _announce(self) -> None:
        if not self.announced and any(map(listens, self.sockets)):
            self.announced = True
            self.on_start()

    def _start(self, listening: socket.socket) -> subprocess.Popen[bytes]:
        descriptors = (listening.fileno(), self._tether)
        command = [
            *(sys.executable, "-P", "-m", "flows.serving_worker", str(self.workspace.root)),
            *map(str, (*descriptors, len(self.sockets), self.shared)),
        ]
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(self.shared)}
        return subprocess.Popen(  # noqa: S603 - our own module
            command, pass_fds=descriptors, env=environment, start_new_session=True
        )

    def _replace_the_dead(self) -> None:
        for place, member in enumerate(self._members):
            if member.poll() is None or self.stopping:
                continue
            listen_no_more(self.sockets[place])
            self._count_death(member)
            say(f"a worker ended with code {member.returncode}; another one takes its place")
            self._members[place] = self._start(self.sockets[place])

    def _count_death(self, member: subprocess.Popen[bytes]) -> None:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(member.pid, str(self.shared))  # type: ignore[no-untyped-call]
        now = time.monotonic()
        self.deaths = [*(then for then in self.deaths if now - then < _EARLY_SECONDS), now]
        self.in_vain = 0 if any(map(listens, self.sockets)) else self.in_vain + 1
        most = _EARLY_DEATHS * len(self.sockets)
        if len(self.deaths) >= most:
            raise self._hopeless(f"{len(self.deaths)} within {_EARLY_SECONDS:.0f} s", member)
        if self.in_vain >= most:
            raise self._hopeless(f"{self.in_vain} in a row while none could answer", member)

    def _hopeless(self, deaths: str, last: subprocess.Popen[bytes]) -> HoldfastError:
        return HoldfastError(
            f"workers ended, {deaths}; the last one with code {last.returncode}",
            expected="workers that serve until they are asked to end",
            fix="mend what they say above, then run the command again",
        )
