"""The sockets of several workers: one address, connections shared out, and nobody else's port."""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack

import pytest

from flows.listening import listening
from pipeline_steps.errors import UsageError

N_CLIENTS = 60


def accepted(listener: socket.socket) -> int:
    """Return how many connections wait at a socket."""
    listener.settimeout(0)
    found = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return found
        found += 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shares connections out")
def test_connections_that_are_kept_open_are_shared_out_among_the_workers() -> None:
    with listening("127.0.0.1", 0, 3) as sockets, ExitStack() as clients:
        address = sockets[0].getsockname()
        assert {each.getsockname() for each in sockets} == {address}
        for _ in range(N_CLIENTS):
            clients.enter_context(socket.create_connection(address))
        shares = [accepted(each) for each in sockets]
    assert sum(shares) == N_CLIENTS
    assert all(shares)  # by chance none: once in ten thousand million times


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("others", [1, 2])
def test_a_port_where_a_service_listens_is_refused(workers: int, others: int) -> None:
    with listening("127.0.0.1", 0, workers) as sockets:
        port = sockets[0].getsockname()[1]
        assert len(sockets) == workers
        with (
            pytest.raises(UsageError, match=f"port {port} cannot be listened on"),
            listening("127.0.0.1", port, others),
        ):
            pass


def test_all_sockets_are_closed_in_the_end() -> None:
    with listening("127.0.0.1", 0, 2) as sockets:
        address = sockets[0].getsockname()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
