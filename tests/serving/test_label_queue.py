"""The queue of labels over HTTP: off unless it is turned on, in pages, and as a page to label on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from html_reader import read
from toy_services import toy_client

from pipeline_steps.errors import TrafficError
from pipeline_steps.monitoring.traffic import TrafficLog
from pipeline_steps.serving.label_queue import AskedRow, LabelQueue, Place

ROWS = [
    AskedRow(place=(7, "drift-1", n), prediction_id=f"p{n}", text=f"text {n}", answer="a")
    for n in range(3)
]


def asked(n: int, after: Place | None) -> Sequence[AskedRow]:
    return [row for row in ROWS if after is None or row.place > after][:n]


def skip(names: Sequence[str]) -> int:
    return len({row.prediction_id for row in ROWS} & set(names))


QUEUE = LabelQueue(asked, skip)


@contextmanager
def client(tmp_path: Path, queue: LabelQueue | None) -> Iterator[TestClient]:
    log = TrafficLog(f"sqlite:///{tmp_path / 'traffic.db'}")
    with toy_client(log, queue) as made:
        yield made
    log.close()


def test_without_being_turned_on_no_text_is_shown(tmp_path: Path) -> None:
    with client(tmp_path, None) as made:
        assert [made.get(path).status_code for path in ("/labels", "/labels/page")] == [404, 404]
        assert made.post("/labels/skip", json={"prediction_ids": ["p1"]}).status_code == 404
        assert "/labels" not in made.get("/openapi.json").json()["paths"]


def test_the_queue_comes_in_pages(tmp_path: Path) -> None:
    with client(tmp_path, QUEUE) as made:
        first = made.get("/labels?limit=2")
        assert (first.status_code, first.headers["Cache-Control"]) == (200, "no-store")
        assert first.json()["rows"][1] == {
            "ticket": "drift-1", "prediction_id": "p1", "text": "text 1", "answer": "a",
            "choices": [], "draft": "",
        }  # fmt: skip
        last = made.get("/labels", params={"limit": 2, "after": first.json()["next"]}).json()
        assert ([row["prediction_id"] for row in last["rows"]], last["next"]) == (["p2"], None)
        assert len(made.get("/labels").json()["rows"]) == 3


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=x", "after=p1", "after=7-x-drift-1", "page=2"]
)
def test_what_is_no_page_of_it_is_refused(tmp_path: Path, query: str) -> None:
    with client(tmp_path, QUEUE) as made:
        refused = made.get(f"/labels?{query}")
        assert refused.status_code == 422
        assert query.partition("=")[0] in refused.json()["error"]["received"]


def test_a_log_that_cannot_be_read_is_no_empty_queue(tmp_path: Path) -> None:
    def broken(_n: int, _after: Place | None) -> Sequence[AskedRow]:
        raise TrafficError("locked", expected="a log", fix="mend it")

    with client(tmp_path, LabelQueue(broken, skip)) as made:
        refused = made.get("/labels")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")


def test_the_page_needs_nothing_but_the_service(tmp_path: Path) -> None:
    with client(tmp_path, QUEUE) as made:
        answered = made.get("/labels/page")
        described = made.get("/openapi.json").json()["paths"]
    assert answered.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in answered.headers["Content-Security-Policy"]
    text = answered.text
    assert {"main", "script"} <= read(text).tags
    assert not re.findall(r"(?:src|href)=|https?:|innerHTML|insertAdjacent|document\.write", text)
    assert set(re.findall(r'"\.\.(/[a-z/]+)', text)) == {"/labels", "/labels/skip", "/feedback"}
    assert {"/labels", "/labels/page", "/labels/skip"} <= set(described)
    parameters = described["/labels"]["get"]["parameters"]
    assert [parameter["name"] for parameter in parameters] == ["limit", "after"]


def test_rows_that_nobody_can_label_are_told_and_strange_ones_are_refused(tmp_path: Path) -> None:
    with client(tmp_path, QUEUE) as made:
        told = made.post("/labels/skip", json={"prediction_ids": ["p0", "p2", "other"]})
        assert (told.status_code, told.json()["skipped"]) == (200, 2)
        refused = made.post("/labels/skip", json={"prediction_ids": ["other"]})
        assert (refused.status_code, refused.json()["error"]["fix"]) == (
            404, "ask /labels which rows wait now",
        )  # fmt: skip
        for body in ({}, {"prediction_ids": []}, {"prediction_ids": ["p0"] * 501}, {"ids": ["p0"]}):
            assert made.post("/labels/skip", json=body).status_code == 422
