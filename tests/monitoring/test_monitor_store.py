"""What a monitor keeps, on SQLite and PostgreSQL: read back as it was, moved by one at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline_steps.drift_types import (
    DriftReport,
    Explanation,
    MovedCluster,
    MovedWord,
    RetrainDecision,
)
from pipeline_steps.errors import TrafficError
from pipeline_steps.monitoring.forgotten_rows import forget_rows
from pipeline_steps.monitoring.monitor_store import MonitorState, MonitorStore
from pipeline_steps.monitoring.monitored_rows import text_of
from pipeline_steps.monitoring.standing import StandingDraw, drawn_rows
from pipeline_steps.monitoring.standing_rows import (
    forget_draws,
    next_position,
    rows_of_draw,
    unlabelled_rows,
)
from pipeline_steps.monitoring.tickets import LabelRequest, Ticket
from pipeline_steps.monitoring.traffic import LateLabel, LoggedPrediction, TrafficLog

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HALF = "half \ud800"
ODD = "nul \x00, 日本"


@pytest.fixture
def store(url: str) -> Iterator[MonitorStore]:
    log = TrafficLog(url)
    yield MonitorStore(log)
    log.close()


def state(cursor: int) -> MonitorState:
    return MonitorState("t", "a", cursor, bytes(range(256)), '{"seen": []}')


def report(last: int, status: str = "no_drift") -> DriftReport:
    return DriftReport(
        model_name="m", version=1, reference_digest="r", current_digest="c", first_sequence=last - 9,
        last_sequence=last, n_read=10, n_compared=9, status=status, evidence=0.1 + 0.2, peak=1e300,
        threshold=1e4, notes=(ODD,),
    )  # fmt: skip


def ticket(**changed: Any) -> Ticket:
    words = (MovedWord(word=ODD, z=1.5, reference_share=0.1, current_share=0.2),)
    values: dict[str, Any] = {
        "ticket": "drift-1", "model_name": "m", "version": 1, "reference_digest": "r",
        "alarm_sequence": 5, "last_sequence": 10, "opened_at": NOON, "changed_at": NOON,
        "status": "open", "explanation": Explanation(n=1, words=words),
    }  # fmt: skip
    return Ticket(**{**values, **changed})


def test_what_is_kept_is_read_back_as_it_was(store: MonitorStore) -> None:
    store.advance("m", state(10), expected=None, report=report(10), tickets=[ticket()])
    store.advance("m", state(20), expected=state(10), report=report(20, "drift"))
    assert store.state("m") == state(20)
    assert store.state("other") is None
    assert store.window_reports("m") == [report(10), report(20, "drift")]
    assert store.window_reports("m", last=1) == [report(20, "drift")]
    assert store.ticket("drift-1") == ticket()
    with pytest.raises(TrafficError, match="there is no ticket"):
        store.ticket("drift-2")


def test_requests_are_skipped_and_a_ticket_is_replaced(store: MonitorStore) -> None:
    asked = [
        LabelRequest(ticket="drift-1", prediction_id=f"p{i}", position=i, sequence=i)
        for i in range(3)
    ]
    store.put_ticket(ticket(), asked)
    store.put_ticket(ticket(status="harm"))
    assert [t.status for t in store.tickets("m")] == ["harm"]
    assert store.skip(["p1", "nobody"]) == 1
    assert [r.skipped for r in store.requests("drift-1")] == [False, True, False]


def test_drawn_rows_have_the_labels_of_today_and_none_that_cannot_be_labelled(
    store: MonitorStore,
) -> None:
    draw = StandingDraw(model_name="m", version=1, share=1.0, asked=True)
    store.log.append(
        LoggedPrediction(
            prediction_id=f"p{i}", request_id="r", created_at=NOON, model_name="m", version=1,
            example={"text": ODD}, output={"label": HALF},
        )
        for i in range(4)
    )  # fmt: skip
    places = {row.prediction.prediction_id: row.sequence for row in store.log.read()}
    drawn = drawn_rows(draw, list(places), list(places.values()), 0)
    store.advance("m", state(4), expected=None, drawn=drawn)
    assert next_position(store, draw.name) == 4
    store.skip(["p1", "p2"])
    told = [
        LateLabel(prediction_id=name, label={"label": HALF}, labelled_at=NOON, source="s")
        for name in ("p0", "p2")
    ]
    store.log.add_labels(told)
    found = rows_of_draw(store, draw.name)
    assert [(row.prediction_id, row.label, row.created_at) for row in found] == [
        ("p0", {"label": HALF}, NOON), ("p2", {"label": HALF}, NOON), ("p3", None, NOON),
    ]  # fmt: skip
    assert [row.output for row in found] == [{"label": HALF}, {"label": HALF}, None]
    assert [row.prediction_id for row in unlabelled_rows(store, "m", 5)] == ["p3"]
    store.skip(["p2"])
    assert [row.prediction_id for row in rows_of_draw(store, draw.name)] == ["p0", "p3"]
    assert forget_draws(store, draw, 2) == 2
    assert [row.prediction_id for row in rows_of_draw(store, draw.name)] == ["p3"]


def test_a_decision_is_kept_once_until_the_ledger_has_it(store: MonitorStore) -> None:
    decision = RetrainDecision(
        decision_id="d", verdict="WAIT", reasons=(ODD,), model_name="m", version=1, minutes_left=1.5
    )
    for _ in range(2):
        store.put_decision(decision)
    assert store.decisions("m", recorded=False) == [decision]
    store.mark_recorded("d")
    store.put_decision(decision)
    assert store.decisions("m", recorded=False) == []
    assert store.decisions("m") == [decision]


def test_of_monitors_at_once_one_goes_on_and_the_others_say_so(url: str) -> None:
    logs = [TrafficLog(url) for _ in range(4)]
    stores = [MonitorStore(log) for log in logs]
    stores[0].advance("m", state(10), expected=None)
    refused: list[str] = []

    def go_on(store: MonitorStore, number: int) -> None:
        try:
            store.advance("m", state(20 + number), expected=state(10), report=report(20 + number))
        except TrafficError as error:
            refused.append(error.received)

    threads = [threading.Thread(target=go_on, args=(s, i)) for i, s in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["another process went on with the monitor of m in the meantime"] * 3
    [kept] = stores[0].window_reports("m")
    found = stores[0].state("m")
    assert found is not None
    assert found.cursor == kept.last_sequence
    for log in logs:
        log.close()


def explained() -> Explanation:
    cluster = MovedCluster(
        name="pin", reference_share=0.1, current_share=0.4, p_value=0.001, moved=True,
        examples=("my pin is 4711",),
    )  # fmt: skip
    return Explanation(n=9, clusters=(cluster,))


def test_texts_go_with_the_rows_that_the_log_forgets(store: MonitorStore) -> None:
    """They would outlive the retention; what was found by them stays."""
    store.log.append(
        LoggedPrediction(
            prediction_id=f"p{i}", request_id="r", created_at=NOON + timedelta(minutes=i),
            model_name="m", version=1, example={"text": "a"}, output={"label": "a"},
        )
        for i in range(30)
    )  # fmt: skip
    old, new = (report(last).model_copy(update={"explanation": explained()}) for last in (10, 20))
    settled, live = (
        ticket(ticket=f"drift-{status}", status=status, explanation=explained())
        for status in ("benign", "harm")
    )
    store.advance("m", state(10), expected=None, report=old, tickets=[settled, live])
    store.advance("m", state(20), expected=state(10), report=new)
    assert forget_rows(store, "m") == 0
    store.log.forget(NOON + timedelta(minutes=15))
    assert forget_rows(store, "m") == 2
    reports = [kept.explanation for kept in store.window_reports("m")]
    assert reports == [explained().without_rows(), explained()]
    kept = {found.status: found.explanation for found in store.tickets("m")}
    assert kept == {"benign": explained().without_rows(), "harm": explained()}
    assert forget_rows(store, "m") == 0
    store.log.forget(NOON + timedelta(days=1))
    assert forget_rows(store, "m") == 1


def test_rows_are_found_by_id_and_counted_since_a_time(store: MonitorStore) -> None:
    store.log.append(
        LoggedPrediction(
            prediction_id=f"p{i:04d}", request_id="r", created_at=NOON + timedelta(minutes=i),
            model_name="m", version=1, example={"text": HALF}, output={"label": "a"},
        )
        for i in range(700)
    )  # fmt: skip
    names = [f"p{i:04d}" for i in range(700)]
    assert sorted(store.rows([*names, "nobody"])) == names
    assert store.count_since("m", NOON + timedelta(minutes=690)) == 10
    example = store.rows(names)[names[0]].prediction.example
    assert text_of(example) == "half ?", "what reports and files of labels can be written with"
