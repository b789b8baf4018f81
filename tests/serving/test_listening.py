"""The sockets of several workers: one address, connections shared out, and nobody else's port."""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack

import pytest

from flows.listening import listen_no_more, listen_on, listening, listens
from pipeline_steps.errors import UsageError

N_CLIENTS = 60
only_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shares connections out")


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


@only_linux
def test_connections_that_are_kept_open_are_shared_out_among_the_workers() -> None:
    with listening("127.0.0.1", 0, 3) as sockets, ExitStack() as clients:
        address = sockets[0].getsockname()
        assert {each.getsockname() for each in sockets} == {address}
        for each in sockets:
            each.listen(N_CLIENTS)
        for _ in range(N_CLIENTS):
            clients.enter_context(socket.create_connection(address))
        shares = [accepted(each) for each in sockets]
    assert sum(shares) == N_CLIENTS
    assert all(shares)  # by chance none: once in ten thousand million times


@only_linux
def test_who_cannot_answer_yet_or_any_more_is_sent_no_connection() -> None:
    with listening("127.0.0.1", 0, 2) as sockets, ExitStack() as clients:
        address = sockets[0].getsockname()
        listen_no_more(sockets[1])  # it does not listen yet: nothing changes
        assert not any(map(listens, sockets))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        for each in sockets:
            each.listen(N_CLIENTS)
        listen_no_more(sockets[1])
        assert [listens(each) for each in sockets] == [True, False]
        for _ in range(N_CLIENTS):
            clients.enter_context(socket.create_connection(address))
        assert accepted(sockets[0]) == N_CLIENTS
        sockets[1].listen(N_CLIENTS)
        for _ in range(N_CLIENTS):
            clients.enter_context(socket.create_connection(address))
        assert accepted(sockets[1]) > 0


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


@only_linux
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("before", [1, 2])
def test_a_service_begins_where_one_has_just_ended(before: int, workers: int) -> None:
    with listening("127.0.0.1", 0, before) as sockets:
        address = sockets[0].getsockname()
        listen_on(sockets[0])
        with socket.create_connection(address):
            sockets[0].accept()[0].close()  # who closes first keeps the port for a minute
    with listening("127.0.0.1", address[1], workers) as sockets:
        listen_on(sockets[-1])
        socket.create_connection(address).close()
        assert accepted(sockets[-1]) == 1


@only_linux
def test_a_port_is_refused_while_one_of_several_workers_is_replaced() -> None:
    with listening("127.0.0.1", 0, 2) as sockets:
        for each in sockets:
            listen_on(each)
        listen_no_more(sockets[0])
        port = sockets[0].getsockname()[1]
        with (
            pytest.raises(UsageError, match=f"port {port} cannot be listened on"),
            listening("127.0.0.1", port, 1),
        ):
            pass
