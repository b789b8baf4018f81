"""The sockets that a service accepts connections from: one for each worker, all of one address.

Behind a single socket the first worker that wakes up takes every connection that waits, and clients
that keep theirs open then ask that worker alone. With a socket for each (``SO_REUSEPORT``) Linux
shares connections out by their addresses, whatever the workers do, among the sockets that listen.
So these are bound and do not listen: each worker lets its own listen once it can answer, and what
it leaves behind when it dies listens no more.
"""

from __future__ import annotations

import errno
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
    """Yield a socket for each worker; where connections are not shared out, one for all.

    A single worker's listens already, and so does the one for all; others are to be listened on.

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


def listens(place: socket.socket) -> bool:
    """Return whether connections are let in at a socket, by whichever process."""
    return bool(place.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def listen_on(place: socket.socket) -> None:
    """Let connections in at a socket, and leave the port free for the next service once it ended.

    Not when it is bound: another service could then listen there until the first worker does.
    """
    place.listen(_BACKLOG)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # its connections inherit it


def listen_no_more(place: socket.socket) -> None:
    """Let connections go to the other workers' sockets until this one is listened on again.

    A socket that all workers share is left as it is.
    """
    if not _SHARED_OUT:
        return
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    try:
        place.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        if error.errno != errno.ENOTCONN:  # nobody had listened there yet
            raise


def _opened(host: str, port: int, *, shared: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        if shared:
            return _bound(host, port, family)
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise UsageError(
            f"{host} port {port} cannot be listened on: {error.strerror or error}",
            expected="an address of this machine and a free port",
            fix="name another one: holdfast serve --port NUMBER",
        ) from error


def _bound(host: str, port: int, family: socket.AddressFamily) -> socket.socket:
    """Return a socket that shares its port with its kin and does not listen yet."""
    try:
        return _bound_with(host, port, family, socket.SO_REUSEPORT)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
    # The port was free a moment ago, so what holds it are connections that ended a minute ago.
    # Not at once like this: another service could then listen there until the first worker does.
    return _bound_with(host, port, family, socket.SO_REUSEPORT, socket.SO_REUSEADDR)


def _bound_with(host: str, port: int, family: socket.AddressFamily, *options: int) -> socket.socket:
    made = socket.socket(family)
    try:
        for option in options:
            made.setsockopt(socket.SOL_SOCKET, option, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made
