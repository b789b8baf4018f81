"""Posts to a service that takes little at once, or asks for patience."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from flows.patient_posts import PatientPosts
from pipeline_steps.errors import HoldfastError

Answer = Callable[[list[int]], tuple[int, dict[str, str]]]


@contextmanager
def service(answer: Answer) -> Iterator[tuple[PatientPosts, list[list[int]]]]:
    """Yield posts to a service that answers so, and the numbers of each request."""
    asked: list[list[int]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            numbers = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["numbers"]
            asked.append(numbers)
            status, headers = answer(numbers)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(json.dumps({"sum": sum(numbers)}).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield PatientPosts(f"http://127.0.0.1:{server.server_port}/"), asked
        server.shutdown()
        thread.join()


def total(posts: PatientPosts, n: int) -> int:
    parts = list(posts.post("add", list(range(n)), lambda some: {"numbers": some}))
    assert [number for part, _ in parts for number in part] == list(range(n))
    return sum(answer["sum"] for _, answer in parts)


@pytest.mark.parametrize("status", [413, 422])
def test_what_is_too_much_at_once_is_sent_in_parts_that_are_remembered(status: int) -> None:
    with service(lambda numbers: (status if len(numbers) > 3 else 200, {})) as (posts, asked):
        assert total(posts, 20) == 190
        assert [len(numbers) for numbers in asked] == [20, 10, 5, *[2] * 10]
        asked.clear()
        assert total(posts, 4) == 6
        assert [len(numbers) for numbers in asked] == [2, 2]


def test_more_than_a_service_can_take_never_goes_in_one_request() -> None:
    with service(lambda _: (200, {})) as (posts, asked):
        assert total(posts, 2_500) == sum(range(2_500))
        assert [len(numbers) for numbers in asked] == [1_000, 1_000, 500]
        assert total(posts, 0) == 0


@pytest.mark.parametrize("status", [429, 503])
def test_a_service_that_asks_for_patience_is_asked_again(status: int) -> None:
    answers = [(status, {"Retry-After": "0"}), (status, {"Retry-After": "0"}), (200, {})]
    with service(lambda _: answers.pop(0)) as (posts, asked):
        assert total(posts, 3) == 3
        assert len(asked) == 3


def test_patience_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.patient_posts._PATIENCE", -1.0)
    with (
        service(lambda _: (503, {"Retry-After": "0"})) as (posts, _),
        pytest.raises(HoldfastError, match="HTTP Error 503"),
    ):
        total(posts, 1)


def test_an_item_that_is_refused_alone_ends_it_with_what_the_service_said() -> None:
    with (
        service(lambda numbers: (422 if 2 in numbers else 200, {})) as (posts, _),
        pytest.raises(HoldfastError, match=r'HTTP Error 422.*\{"sum": 2\}'),
    ):
        total(posts, 4)


def test_where_no_service_is_it_says_so() -> None:
    with service(lambda _: (200, {})) as (posts, _):
        pass
    with pytest.raises(HoldfastError, match=r"/add answers: .*refused"):
        total(posts, 1)
