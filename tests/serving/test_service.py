"""The service without HTTP: what it acknowledges is logged, and nobody waits for ever."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from toy_services import ToyModel, texts, toy_service

from pipeline_steps.errors import TrafficError
from pipeline_steps.monitoring.traffic import TrafficLog
from pipeline_steps.serving.refusals import RefusedRequestError
from pipeline_steps.serving.tickets import Sender


def rows_in(tmp_path: Path, table: str = "holdfast_traffic") -> list:
    log = TrafficLog(f"sqlite:///{tmp_path / 'traffic.db'}", table)
    rows = log.read()
    log.close()
    return [row.prediction for row in rows]


@contextmanager
def locked_log(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection that lets nobody else write to the log."""
    connection = sqlite3.connect(tmp_path / "traffic.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    finally:
        connection.close()


def test_answers_come_in_the_order_of_the_rows_and_are_logged_first(tmp_path: Path) -> None:
    with toy_service(tmp_path) as service:
        answers = service.submit(texts("aaa", "b", "cc"), "r1", Sender("de", "s1")).result(30)
        assert [answer.said["label"] for answer in answers] == ["3", "1", "2"]
        kept = rows_in(tmp_path)
    assert sorted(k.prediction_id for k in kept) == sorted(a.logged.prediction_id for a in answers)
    assert {(k.request_id, k.segment, k.session, k.version, k.confidence) for k in kept} == {
        ("r1", "de", "s1", 1, 0.75)
    }
    by_text = {k.example["text"]: k for k in kept}
    assert by_text["aaa"].output == {"label": "3"}
    assert by_text["aaa"].probabilities == {"3": 0.75, "other": 0.25}


def test_rows_that_wait_together_are_scored_and_logged_together(tmp_path: Path) -> None:
    model = ToyModel()
    model.open.clear()
    with toy_service(tmp_path, model) as service:
        futures = [service.submit(texts("first"), "r")]
        while len(service.waiting):
            time.sleep(0.001)
        futures += [service.submit(texts(f"text {n}"), "r") for n in range(40)]
        model.open.set()
        assert all(future.result(30) for future in futures)
    assert [len(batch) for batch in model.batches] == [1, 40]
    assert model.prepared == 41  # what was read to be sorted is not read again to be answered


def test_what_another_model_has_read_is_read_again(tmp_path: Path) -> None:
    first, second = ToyModel(), ToyModel(version=2)
    first.open.clear()
    with toy_service(tmp_path, first) as service:
        futures = [service.submit(texts("first"), "r")]
        while len(service.waiting):
            time.sleep(0.001)
        futures += [
            service.submit(texts(text), "r") for text in ("a", "bb bb bb bb bb bb bb bb bb")
        ]
        service.switch(second)
        first.open.set()
        answers = [future.result(30)[0] for future in futures]
    assert [answer.logged.version for answer in answers] == [1, 2, 2]
    assert [answer.said["label"] for answer in answers] == ["5", "1", "26"]


def test_a_row_that_the_model_fails_on_fails_alone(tmp_path: Path) -> None:
    model = ToyModel()
    model.open.clear()
    with toy_service(tmp_path, model, max_wait_ms=50) as service:
        futures = [service.submit(texts(text), "r") for text in ("a", "bad", "b")]
        model.open.set()
        assert futures[0].result(30)
        assert futures[2].result(30)
        with pytest.raises(RefusedRequestError, match="cannot answer this row") as caught:
            futures[1].result(30)
    assert caught.value.status == 500
    assert {k.example["text"] for k in rows_in(tmp_path)} == {"a", "b"}


@pytest.mark.parametrize("batch_tokens", [4, 1_024])  # in a batch of their own, and together
def test_of_a_request_that_fails_no_row_is_logged(tmp_path: Path, batch_tokens: int) -> None:
    with toy_service(tmp_path, batch_tokens=batch_tokens) as service:
        for rows in (("good", "bad"), ("good one", "bad", "good two")):
            with pytest.raises(RefusedRequestError, match="cannot answer this row"):
                service.submit(texts(*rows), "r").result(30)
        assert service.submit(texts("good", "good one", "good two"), "r").result(30)
        assert [k.example["text"] for k in rows_in(tmp_path)] == ["good", "good one", "good two"]


def test_what_follows_a_failed_row_of_its_request_is_not_scored(tmp_path: Path) -> None:
    model = ToyModel()
    with toy_service(tmp_path, model, batch_tokens=1) as service:
        future = service.submit(texts("bad", "good"), "r")
        with pytest.raises(RefusedRequestError, match="cannot answer this row"):
            future.result(30)
    assert model.batches == [["bad"]]


def test_a_row_whose_length_cannot_be_told_fails_alone(tmp_path: Path) -> None:
    with toy_service(tmp_path, max_wait_ms=20) as service:
        good, wrong = service.submit(texts("a"), "r"), service.submit([{"text": 7}], "r")
        assert good.result(30)
        with pytest.raises(RefusedRequestError, match="AttributeError"):
            wrong.result(30)


def test_what_is_not_logged_is_not_acknowledged(tmp_path: Path) -> None:
    with toy_service(tmp_path) as service:

        def broken(_: object) -> None:
            raise TrafficError("full", expected="room", fix="make some")

        append, service.log.append = service.log.append, broken
        with pytest.raises(RefusedRequestError, match="log cannot be written") as caught:
            service.submit(texts("a"), "r").result(30)
        assert caught.value.status == 503
        service.log.append = append
        assert service.submit(texts("b"), "r").result(30)
    assert [k.example["text"] for k in rows_in(tmp_path)] == ["b"]


def test_beyond_its_queue_the_service_refuses_and_goes_on(tmp_path: Path) -> None:
    model = ToyModel()
    model.open.clear()
    with toy_service(tmp_path, model, queue_rows=5, max_rows=5) as service:
        accepted = [service.submit(texts("first"), "r")]
        while len(service.waiting):
            time.sleep(0.001)
        accepted += [service.submit(texts("a", "b"), "r"), service.submit(texts("a", "b"), "r")]
        with pytest.raises(RefusedRequestError, match="4 rows wait"):
            service.submit(texts("c", "d"), "r")
        model.open.set()
        assert [len(future.result(30)) for future in accepted] == [1, 2, 2]
        assert service.submit(texts("c", "d"), "r").result(30)


def test_rows_are_refused_while_answered_ones_pile_up_before_the_log(tmp_path: Path) -> None:
    with toy_service(tmp_path, queue_rows=2, max_rows=2) as service, locked_log(tmp_path) as lock:
        accepted = []
        while not service.commits.behind:
            with suppress(RefusedRequestError):
                accepted.append(service.submit(texts("a"), "r"))
            time.sleep(0.01)
        with pytest.raises(RefusedRequestError, match="the traffic log does not keep up") as caught:
            service.submit(texts("b"), "r")
        assert (caught.value.status, caught.value.retry_after) == (503, 5)
        assert len(accepted) <= 2 + 2 * 2  # in the log's hands, scored meanwhile, and waiting
        lock.rollback()
        assert all(future.result(30) for future in accepted)
        assert not service.commits.behind
        assert service.submit(texts("c"), "r").result(30)


def test_an_answer_that_was_given_up_is_neither_logged_nor_a_defect(tmp_path: Path) -> None:
    model = ToyModel()
    model.open.clear()
    with toy_service(tmp_path, model) as service:
        given_up, kept = service.submit(texts("a"), "r"), service.submit(texts("b"), "r")
        assert given_up.cancel()
        model.open.set()
        assert kept.result(30)
        assert not kept.cancel()
    assert [row.example["text"] for row in rows_in(tmp_path)] == ["b"]


def test_what_was_accepted_is_answered_at_the_end(tmp_path: Path) -> None:
    with toy_service(tmp_path, ToyModel(seconds=0.05)) as service:
        futures = [service.submit(texts(" ".join("w" * n)), "r") for n in range(1, 40)]
    assert all(future.done() and future.result() for future in futures)
    assert len(rows_in(tmp_path)) == 39


def test_a_switch_under_load_loses_no_request_and_each_row_tells_its_version(
    tmp_path: Path,
) -> None:
    with toy_service(tmp_path, ToyModel(seconds=0.002)) as service:
        futures = []
        for version in range(2, 12):
            futures += [service.submit(texts("a", "b c"), "r") for _ in range(20)]
            service.switch(ToyModel(version=version, seconds=0.002))
            wait(futures[-5:])
        versions = [a.logged.version for future in futures for a in future.result(30)]
    assert len(set(versions)) > 3
    assert sorted(k.version for k in rows_in(tmp_path)) == sorted(versions)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_in_a_thread_refuses_everybody_instead_of_hanging(tmp_path: Path) -> None:
    class DefectError(BaseException):
        pass

    failed = threading.Event()
    model = ToyModel(defect=DefectError)
    with toy_service(tmp_path, model) as service:
        service._on_failure = failed.set
        future = service.submit(texts("a"), "r")
        with pytest.raises(RefusedRequestError, match="no model in place"):
            future.result(30)
        assert failed.wait(30)
        with pytest.raises(RefusedRequestError, match="no model in place"):
            service.submit(texts("a"), "r")


def test_a_request_that_comes_while_the_service_fails_is_refused(tmp_path: Path) -> None:
    class Late(set):
        def add(self, ticket: object) -> None:
            service.fail()  # after it was asked whether it is ready
            super().add(ticket)

    model = ToyModel()
    model.open.clear()
    with toy_service(tmp_path, model) as service:
        service._open = Late()
        future = service.submit(texts("a"), "r")
        with pytest.raises(RefusedRequestError, match="no model in place"):
            future.result(0)
        model.open.set()


def test_without_a_model_nothing_is_accepted(tmp_path: Path) -> None:
    with toy_service(tmp_path) as service:
        service._model = None
        with pytest.raises(RefusedRequestError, match="no model in place"):
            service.submit(texts("a"), "r")


def test_the_challenger_answers_the_same_rows_into_a_log_of_its_own(tmp_path: Path) -> None:
    with toy_service(tmp_path, shadow=True) as service:
        service.submit(texts("before"), "r").result(30)
        service.shadow.model = ToyModel(version=2)
        answers = service.submit(texts("a", "bb"), "r").result(30)
        deadline = time.monotonic() + 30
        while len(rows_in(tmp_path, "shadow")) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
    shadowed = rows_in(tmp_path, "shadow")
    assert {k.version for k in shadowed} == {2}
    assert {k.version for k in rows_in(tmp_path)} == {1}
    assert {k.prediction_id for k in shadowed} == {a.logged.prediction_id for a in answers}
