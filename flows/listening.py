"""The sockets that a service accepts connections from: one for each worker, all of one address.

Behind a single socket the first worker that wakes up takes every connection that waits, and clients
that keep theirs open then ask that worker alone. With a socket for each (``SO_REUSEPORT``) Linux
shares connections out by their addresses, whatever the workers do. It does so also where a worker
has just died: a connection that it is given waits for the successor, so sockets stay open until all
workers have ended.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from pipeline_steps.errors import UsageError

_BACKLOG = 2_048
_SHARED_OUT = sys.platform == "linux"
"""Elsewhere ``SO_REUSEPORT`` lets several sockets listen and gives one of them everything."""


@contextmanager
def listening(host: str, port: int, workers: int) -> Iterator[list[socket.socket]]:
    """Yield a listening socket for each worker; where connections are not shared out, one for all.

    Raises
    ------
    UsageError
        If the address cannot be listened on.
    """
    with ExitStack() as opened:
        first = opened.enter_context(_opened(host, port))
        if workers == 1 or not _SHARED_OUT:
            yield [first] * workers
            return
        # It was alone: a socket that shares its port does not notice another service there.
        port = first.getsockname()[1]
        first.close()
        yield [opened.enter_context(_opened(host, port, shared=True)) for _ in range(workers)]


def _opened(host: str, port: int, *, shared: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server(
            (host, port), family=family, backlog=_BACKLOG, reuse_port=shared
        )
    except OSError as error:
        raise UsageError(
            f"{host} port {port} cannot be listened on: {error.strerror or error}",
            expected="an address of this machine and a free port",
            fix="name another one: holdfast serve --port NUMBER",
        ) from error
