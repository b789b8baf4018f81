"""The service over HTTP, in this process: what each path takes, answers and refuses."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from builders import structured_examples
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from toy_services import ToyModel, toy_service

from flows.serving import keep_out_of_collections
from pipeline_steps.errors import HoldfastError
from pipeline_steps.monitoring.traffic import TrafficLog
from pipeline_steps.problems.catalog import PROBLEMS, get_problem
from pipeline_steps.serve_params import ServeParams
from pipeline_steps.serving.application import build_application
from pipeline_steps.serving.bodies import PredictBody, read_labels
from pipeline_steps.serving.refusals import RefusedRequestError
from pipeline_steps.serving.service import Service
from pipeline_steps.serving.swapping import ChampionWatch, Pauses, sample_request
from pipeline_steps.serving.tickets import Sender


class Registry:
    """A registry of toy models; ``broken`` versions cannot be loaded."""

    def __init__(self) -> None:
        self.number: int | None = 1
        self.challenging: int | None = None
        self.broken: set[int] = set()
        self.defects: dict[int, Exception] = {}
        self.asked: list[int] = []
        self.models: dict[int, ToyModel] = {}

    def champion(self) -> int | None:
        return self.number

    def challenger(self) -> int | None:
        return self.challenging

    def load(self, number: int) -> ToyModel:
        self.asked.append(number)
        if number in self.broken:
            raise HoldfastError(f"{number} is damaged", expected="a sound one", fix="restore it")
        self.models[number] = ToyModel(version=number, defect=self.defects.get(number))
        return self.models[number]


@contextmanager
def client(tmp_path: Path, registry: Registry | None = None, **params: Any) -> Iterator[TestClient]:
    log = TrafficLog(f"sqlite:///{tmp_path / 'traffic.db'}")
    shadow = TrafficLog(f"sqlite:///{tmp_path / 'traffic.db'}", "shadow")
    service = Service(ServeParams(poll_seconds=0.02, **params), log, shadow_log=shadow)
    registry, said = registry or Registry(), []
    watch = ChampionWatch(service, registry, "text_classification", say=said.append)
    with TestClient(build_application(service, "text_classification", watch)) as made:
        made.service, made.registry, made.said = service, registry, said
        until(lambda: made.get("/ready").status_code == 200 or service.failed)
        yield made
    log.close()
    shadow.close()


def until(done: Any) -> None:
    import time

    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def ask(made: TestClient, *texts: str, **headers: str) -> Any:
    return made.post("/predict", json={"inputs": [{"text": t} for t in texts]}, headers=headers)


def test_an_answer_names_the_version_and_an_id_that_takes_a_label(tmp_path: Path) -> None:
    with client(tmp_path) as made:
        answered = ask(made, "abc", "d")
        assert answered.status_code == 200
        first, second = answered.json()["predictions"]
        assert (first["model"], first["version"], first["label"], first["score"]) == (
            "toy", 1, "3", 0.75,
        )  # fmt: skip
        labels = [{"prediction_id": p["prediction_id"], "label": "x"} for p in (first, second)]
        assert made.post("/feedback", json={"labels": labels}).json()["added"] == 2
        kept = made.service.log.read()
        assert [row.label.label for row in kept] == ["x", "x"]


def test_a_request_keeps_its_id_or_gets_one(tmp_path: Path) -> None:
    with client(tmp_path) as made:
        kept = ask(made, "a", **{"X-Request-Id": "abc-1"})
        assert kept.headers["X-Request-Id"] == kept.json()["request_id"] == "abc-1"
        unsound = ask(made, "a", **{"X-Request-Id": "a b"})
        assert len(unsound.headers["X-Request-Id"]) == 32
        assert ask(made, "a").headers["X-Request-Id"] != unsound.headers["X-Request-Id"]
        assert [row.prediction.request_id for row in made.service.log.read(limit=1)] == ["abc-1"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 422, "body: Invalid JSON"),
        (b"[]", 422, "body"),
        (b'{"inputs": []}', 422, "inputs: List should have at least 1"),
        (b'{"inputs": [{}]}', 422, "inputs.0.text: Field required"),
        (b'{"inputs": [{"text": 7}]}', 422, "inputs.0.text: Input should be a valid string"),
        (b'{"inputs": [{"text": "a", "tex": "b"}]}', 422, "inputs.0.tex: Extra"),
        (b'{"inputs": [{"text": "aaaaaaaaaaa"}]}', 422, "at most 10 characters"),
        (b'{"inputs": [{"text": "a"}, {"text": "a"}, {"text": "a"}]}', 422, "at most 2 items"),
        (b'{"inputs": [{"text": "a"}], "segment": ""}', 422, "segment"),
        (
            rb'{"inputs": [{"text": "a"}], "segment": "a\u0000"}',
            422,
            "segment: String should match",
        ),
        (b'{"inputs": [{"text": "' + b"a" * 300 + b'"}]}', 413, "more than 200 bytes"),
    ],
)
def test_what_is_no_request_is_refused_in_three_sentences(
    tmp_path: Path, body: bytes, status: int, said: str
) -> None:
    with client(tmp_path, max_characters=10, max_rows=2, max_body_bytes=200) as made:
        refused = made.post("/predict", content=body)
        assert refused.status_code == status
        error = refused.json()["error"]
        assert said in error["received"]
        assert set(error) == {"received", "expected", "fix"}
        assert refused.headers["X-Request-Id"]
        assert made.service.log.count() == 0


def test_what_no_route_answers_is_refused_in_the_same_form(tmp_path: Path) -> None:
    with client(tmp_path) as made:
        unknown = made.get("/nowhere/at/all", headers={"X-Request-Id": "call-4"})
        assert (unknown.status_code, unknown.headers["X-Request-Id"]) == (404, "call-4")
        assert unknown.json()["request_id"] == "call-4"
        error = unknown.json()["error"]
        assert error["received"] == "the path /nowhere/at/all"
        assert {"/predict", "/feedback"} <= set(
            error["expected"].removeprefix("one of ").split(", ")
        )
        wrong = made.get("/predict")
        assert (wrong.status_code, wrong.headers["Allow"]) == (405, "POST")
        assert wrong.json()["error"]["received"] == "GET /predict"
        assert wrong.json()["error"]["expected"] == "POST /predict"
        assert wrong.json()["request_id"] == wrong.headers["X-Request-Id"]
        numbers = made.get("/metrics").text
    assert 'holdfast_requests_total{path="elsewhere",status="404"} 1.0' in numbers
    assert "nowhere" not in numbers, "or clients could make up as many series as they like"


def test_labels_that_fit_no_prediction_are_refused(tmp_path: Path) -> None:
    with client(tmp_path) as made:
        unknown = made.post("/feedback", json={"labels": [{"prediction_id": "no", "label": "x"}]})
        assert unknown.status_code == 404
        assert "not in the log: no" in unknown.json()["error"]["received"]
        wrong = made.post("/feedback", json={"labels": [{"prediction_id": "a b", "label": 1}]})
        assert wrong.status_code == 422
        odds = [{"source": "desk\x00"}]
        odds += [{"labelled_at": f"{year}-01-01T00:00:00+14:00"} for year in ("0001", "9000")]
        for odd in odds:
            given = {"prediction_id": "a", "label": 1, **odd}
            assert made.post("/feedback", json={"labels": [given]}).status_code == 422


def test_labels_that_are_no_answers_are_refused_all_together(tmp_path: Path) -> None:
    with client(tmp_path) as made:
        [found] = ask(made, "a").json()["predictions"]
        given = ["x", None, {}, "", ["a"], {"label": "x"}, " ? ", {"label": "?"}]
        labels = [{"prediction_id": found["prediction_id"], "label": label} for label in given]
        refused = made.post("/feedback", json={"labels": labels})
        assert refused.status_code == 422
        said = refused.json()["error"]["received"]
        assert [n for n in range(8) if f"labels.{n}.label: " in said] == [1, 2, 3, 4, 6]
        assert "labels.6.label: `?` is no answer but says that nobody can tell it" in said
        assert made.service.log.read()[0].label is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["answers", "text", "tags", "x"]), inner)
    ),
    max_leaves=6,
)


@given(st.sampled_from(sorted(PROBLEMS)), JSON)
def test_whatever_is_said_to_be_right_is_a_label_or_refused(problem: str, label: Any) -> None:
    body = json.dumps({"labels": [{"prediction_id": "p", "label": label}]}).encode()
    with suppress(RefusedRequestError):
        [found] = read_labels(problem, body)
        assert found.label not in (None, {})


def test_too_many_rows_of_one_address_are_refused_with_a_time(tmp_path: Path) -> None:
    with client(tmp_path, rows_per_minute=3) as made:
        assert ask(made, "a", "b").status_code == 200
        refused = ask(made, "a", "b")
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["Retry-After"]) <= 20
        never = ask(made, "a", "b", "c", "d")
        assert never.status_code == 422
        assert "Retry-After" not in never.headers


def test_too_many_labels_of_one_address_are_refused_with_a_time(tmp_path: Path) -> None:
    with client(tmp_path, rows_per_minute=3) as made:
        [found] = ask(made, "a").json()["predictions"]
        labels = [{"prediction_id": found["prediction_id"], "label": "x"}] * 2
        assert made.post("/feedback", json={"labels": labels}).status_code == 200
        refused = made.post("/feedback", json={"labels": labels})
        assert (refused.status_code, int(refused.headers["Retry-After"]) <= 20) == (429, True)
        assert refused.json()["error"]["received"] == "2 labels at once, and 1 are left"


def test_a_full_queue_is_refused_with_a_time(tmp_path: Path) -> None:
    with client(tmp_path, queue_rows=2, max_rows=2) as made:
        model = made.registry.models[1]
        model.open.clear()
        first = made.service.submit([{"text": "a"}], "r")
        until(lambda: not len(made.service.waiting))
        second = made.service.submit([{"text": "a"}], "r")
        refused = ask(made, "a", "b")
        model.open.set()
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert first.result(30)
        assert second.result(30)
        assert ask(made, "a", "b").status_code == 200


def test_an_answer_that_does_not_come_in_time_is_refused_and_not_logged(tmp_path: Path) -> None:
    with client(tmp_path, answer_seconds=0.2) as made:
        model = made.registry.models[1]
        model.open.clear()
        late = ask(made, "a")
        assert (late.status_code, late.headers["Retry-After"]) == (503, "5")
        assert "not answered after 0.2 s" in late.json()["error"]["received"]
        made.service.params = ServeParams()
        model.open.set()
        assert ask(made, "b").status_code == 200
        assert [row.prediction.example["text"] for row in made.service.log.read()] == ["b"]


def test_behind_a_locked_log_the_service_refuses_and_is_not_ready(tmp_path: Path) -> None:
    with client(tmp_path, queue_rows=1, max_rows=1) as made:
        lock = sqlite3.connect(tmp_path / "traffic.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        accepted = [made.service.submit([{"text": "a"}], "r")]
        while not made.service.commits.behind:
            with suppress(RefusedRequestError):
                accepted.append(made.service.submit([{"text": "a"}], "r"))
        ready = made.get("/ready")
        assert (ready.status_code, ready.json()) == (503, {"status": "waiting for the traffic log"})
        for refused in (ask(made, "c"), made.post("/feedback", json={"labels": []})):
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        lock.close()
        assert all(future.result(30) for future in accepted)
        assert made.get("/ready").status_code == ask(made, "d").status_code == 200


def test_a_queue_that_is_too_short_for_a_request_is_refused() -> None:
    with pytest.raises(ValueError, match="queue_rows is 63 and max_rows 64"):
        ServeParams(queue_rows=63)


def test_a_row_that_the_model_fails_on_is_an_error_with_an_id(tmp_path: Path) -> None:
    with client(tmp_path) as made:
        failed = ask(made, "bad")
        assert failed.status_code == 500
        assert failed.json()["request_id"] == failed.headers["X-Request-Id"]


def test_a_defect_is_told_in_full_and_answered_with_an_id(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with client(tmp_path) as made:
        made.service.submit = None  # a defect that no line expects
        failed = ask(made, "a", **{"X-Request-Id": "call-9"})
        numbers = made.get("/metrics").text
    assert (failed.status_code, failed.json()["request_id"]) == (500, "call-9")
    assert failed.json()["error"]["received"].endswith("(TypeError)")
    assert 'holdfast_requests_total{path="/predict",status="500"} 1.0' in numbers
    [record] = [r for r in caplog.records if "call-9" in r.getMessage()]
    assert record.exc_info


def test_a_client_that_leaves_in_the_middle_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = [
        {"type": "http.request", "body": b'{"inp', "more_body": True},
        {"type": "http.disconnect"},
    ]
    scope = {
        "type": "http", "method": "POST", "path": "/predict", "headers": [], "query_string": b"",
        "client": ("here", 1),
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return parts.pop(0)

    async def send(_: Any) -> None:
        pass

    with client(tmp_path) as made:
        asyncio.run(made.app(scope, receive, send))
        assert 'path="/predict",status="499"} 1.0' in made.get("/metrics").text
    assert not [r for r in caplog.records if r.levelname == "ERROR"]


def test_the_numbers_can_be_read(tmp_path: Path) -> None:
    with client(tmp_path) as made:
        ask(made, "a", "b")
        ask(made)
        text = made.get("/metrics").text
    for line in (
        'holdfast_requests_total{path="/predict",status="200"} 1.0',
        'holdfast_requests_total{path="/predict",status="422"} 1.0',
        "holdfast_champion_version 1.0",
        "holdfast_commit_rows_sum 2.0",
        "holdfast_batch_rows_count",
        "holdfast_waiting_rows 0.0",
    ):
        assert line in text


def test_openapi_shows_bodies_answers_and_refusals(tmp_path: Path) -> None:
    with client(tmp_path) as made:
        described = made.get("/openapi.json").json()
        assert made.get("/docs").status_code == 200
    assert set(described["paths"]) == {"/predict", "/feedback", "/health", "/ready", "/metrics"}
    route = described["paths"]["/predict"]["post"]
    row = route["requestBody"]["content"]["application/json"]["schema"]["properties"]["inputs"]
    assert row["items"]["required"] == ["text"]
    assert {"200", "413", "422", "429", "500", "503"} <= set(route["responses"])
    assert "$ref" not in json.dumps(described["paths"])


def test_the_champion_is_followed_and_a_damaged_one_is_not(tmp_path: Path) -> None:
    with client(tmp_path) as made:
        made.registry.number = 2
        until(lambda: made.get("/ready").json()["version"] == 2)
        assert ["a b c"] in made.registry.models[2].batches  # warmed up before it answered
        made.registry.broken, made.registry.number = {3}, 3
        until(lambda: any("3 is damaged" in line for line in made.said))
        assert ask(made, "a").json()["predictions"][0]["version"] == 2
        made.registry.number = 1
        until(lambda: made.get("/ready").json()["version"] == 1)
        assert 'swaps_total{outcome="failed"}' in made.get("/metrics").text
        health = made.get("/health")
        assert (health.status_code, health.json()["precision"]) == (200, {"precision": "fp32"})


def test_a_row_that_no_version_can_answer_keeps_no_new_one_away(tmp_path: Path) -> None:
    with client(tmp_path) as made:
        assert ask(made, "bad").status_code == 500
        assert ask(made, "sound").status_code == 200
        made.registry.number = 2
        until(lambda: made.get("/ready").json()["version"] == 2)
        assert made.registry.models[2].batches == [["a b c"], ["sound"]]


@pytest.mark.parametrize("defect", [TypeError, IndexError, MemoryError])
def test_whatever_a_new_version_fails_with_the_old_one_goes_on(
    tmp_path: Path, defect: type[Exception]
) -> None:
    with client(tmp_path) as made:
        made.registry.defects, made.registry.number = {2: defect("cannot be warmed up")}, 2
        until(lambda: any("cannot be warmed up" in line for line in made.said))
        assert ask(made, "a").json()["predictions"][0]["version"] == 1
        assert not made.service.failed


def test_the_challenger_is_followed_too(tmp_path: Path) -> None:
    with client(tmp_path) as made:
        made.registry.challenging = 5
        until(lambda: made.service.shadow.model is not None)
        assert ask(made, "a").json()["predictions"][0]["version"] == 1
        until(lambda: made.service.shadow.log.count() == 1)
        made.registry.challenging = None
        until(lambda: made.service.shadow.model is None)


def test_a_challenger_that_cannot_be_loaded_keeps_no_champion_away(tmp_path: Path) -> None:
    registry, said = Registry(), []
    registry.broken, registry.challenging = {5}, 5
    with toy_service(tmp_path, shadow=True) as service:
        service._model = None
        ChampionWatch(service, registry, "text_classification", say=said.append).look()
        assert service.ready
    assert any("5 is damaged" in line for line in said)


def test_while_there_is_more_to_forget_it_is_gone_on_with_at_each_look(tmp_path: Path) -> None:
    left, asked = [2, 1, 0], []

    def forget() -> int:
        asked.append(left.pop(0))
        return asked[-1]

    with toy_service(tmp_path, poll_seconds=0.01) as service:
        watch = ChampionWatch(service, Registry(), "text_classification", say=print, forget=forget)
        watch.start()
        until(lambda: not left)
        watch.close()
    assert asked == [2, 1, 0]


def test_each_version_that_is_put_in_place_is_told_once(tmp_path: Path) -> None:
    registry, told = Registry(), []
    with toy_service(tmp_path, poll_seconds=60) as service:
        service._model = None
        watch = ChampionWatch(
            service, registry, "text_classification", say=print, settled=lambda: told.append(1)
        )
        watch.look()
        watch.look()
        assert len(told) == 1
        registry.number = 2
        watch.look()
    assert len(told) == 2


def test_what_is_in_place_is_kept_out_of_garbage_collections() -> None:
    class Cycle:
        pass

    stays, goes = Cycle(), Cycle()
    goes.itself = goes
    gone = weakref.ref(goes)
    keep_out_of_collections()
    try:
        assert not any(one is stays for one in gc.get_objects())
        del goes
        gc.collect()
        assert gone() is not None, "frozen: a collection passes over it"
        keep_out_of_collections()
        assert gone() is None
    finally:
        gc.unfreeze()


def test_a_version_that_cannot_be_loaded_is_tried_again_after_ever_longer_pauses() -> None:
    now = [0.0]
    pauses = Pauses(5.0, lambda: now[0])
    tried = []
    for _ in range(4_000):
        if pauses.over(3):
            tried.append(now[0])
            with pytest.raises(OSError, match="no disk"), pauses.trying(3):
                raise OSError("no disk")
        now[0] += 1
    assert tried[:6] == [0.0, 5.0, 15.0, 35.0, 75.0, 155.0]
    assert {b - a for a, b in itertools.pairwise(tried[-4:])} == {600.0}
    assert pauses.over(4)
    with pauses.trying(3):
        assert not pauses.over(3)
    assert pauses.over(3)


def test_a_damaged_version_is_not_loaded_at_every_look(tmp_path: Path) -> None:
    registry = Registry()
    registry.broken, registry.number = {7}, 7
    with toy_service(tmp_path, poll_seconds=60) as service:
        watch = ChampionWatch(service, registry, "text_classification", say=print)
        for _ in range(5):
            watch.look()
        registry.number = 1
        watch.look()
        assert service.ready
    assert registry.asked == [7]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_first_champion_that_cannot_be_loaded_ends_the_service(tmp_path: Path) -> None:
    registry = Registry()
    registry.broken = {1}
    with client(tmp_path, registry) as made:
        assert made.get("/health").status_code == 500
        assert made.get("/ready").status_code == 503
        assert ask(made, "a").status_code == 503
        assert made.service.error.received == "1 is damaged"


@pytest.mark.parametrize("problem", sorted(PROBLEMS))
def test_every_problem_reads_its_own_requests(problem: str) -> None:
    body = PredictBody(problem, ServeParams())
    if problem == "text_classification":
        requests = [{"text": "a", "text_pair": "b"}, {"text": "a"}]
    else:
        requests = [get_problem(problem).request(r) for r in structured_examples(problem, 3)]
    content = json.dumps({"inputs": requests, "segment": "de", "session": "s1"}).encode()
    assert body.read(content) == (requests, Sender("de", "s1"))
    assert body.read(json.dumps({"inputs": [sample_request(problem)]}).encode())
    assert "$ref" not in json.dumps(body.schema())


@pytest.mark.parametrize("problem", ["dialogue", "response_selection"])
def test_a_conversation_may_be_sent_as_the_list_that_it_is(problem: str) -> None:
    body = PredictBody(problem, ServeParams())
    (request,) = [get_problem(problem).request(r) for r in structured_examples(problem, 1)]
    as_list = {**request, "messages": json.loads(request["messages"])}
    assert body.read(json.dumps({"inputs": [as_list]}).encode())[0] == [request]
    shown = body.schema()["properties"]["inputs"]["items"]["properties"]["messages"]
    assert [one["type"] for one in shown["anyOf"]] == ["array", "string"]


@pytest.mark.parametrize(
    ("problem", "row", "said"),
    [
        ("ner", {}, "KeyError"),
        ("ner", {"tokens": ["a", " "]}, "token_empty"),
        (
            "relation_extraction",
            {"text": "ab", "head_start": 0, "head_end": 1, "tail_start": 1, "tail_end": 9},
            "span_outside",
        ),
        ("question_answering", {"question": " ", "context": "a"}, "question_missing"),
        ("response_selection", {"messages": "[]", "candidates": ["a", "b"]}, "inputs.0"),
        ("response_selection", {"messages": "[]", "candidates": ["a", "a"]}, "repeated"),
        (
            "dialogue",
            {"messages": json.dumps([{"role": "user", "content": "\ud800"}])},
            "half of a surrogate pair",
        ),
        ("dialogue", {"messages": ["hello"]}, "inputs.0"),
        ("dialogue", {"messages": [{"role": "user"}]}, "inputs.0"),
        ("dialogue", {"messages": [{"role": "king", "content": "hello"}]}, "role_unknown"),
        ("dialogue", {"messages": {"role": "user", "content": "hello"}}, "valid string"),
        ("dialogue", {"messages": [{"role": "user", "content": "a" * 99_999}]}, "at most"),
        ("dialogue", {"messages": "[" * 19_000}, "where a list was expected"),
    ],
)
def test_rows_that_no_model_can_read_are_refused(problem: str, row: Any, said: str) -> None:
    body = PredictBody(problem, ServeParams())
    with pytest.raises(RefusedRequestError, match=said):
        body.read(json.dumps({"inputs": [row]}).encode())
