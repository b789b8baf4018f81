"""The traffic log, on SQLite and PostgreSQL: what it acknowledged is there, once, in order."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import postgresql
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline_steps import database
from pipeline_steps.errors import TrafficError
from pipeline_steps.monitoring.traffic import (
    LateLabel,
    LoggedPrediction,
    TrafficLog,
    TrafficRow,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WRITE = """
import sys
from datetime import UTC, datetime
from pipeline_steps.monitoring.traffic import LoggedPrediction, TrafficLog
log, name = TrafficLog(sys.argv[1]), sys.argv[2]
for i in range(int(sys.argv[3])):
    ids = [f"{name}-{i}-{k}" for k in range(3)]
    log.append([
        LoggedPrediction(
            prediction_id=id_, request_id="r", created_at=datetime.now(UTC), model_name=name,
            version=1, example={"text": id_}, output={"label": "a"},
        )
        for id_ in ids
    ])
    print("\\n".join(ids), flush=True)
"""


@pytest.fixture
def log(url: str) -> Iterator[TrafficLog]:
    made = TrafficLog(url)
    yield made
    made.close()


def prediction(number: int, **changed: Any) -> LoggedPrediction:
    values: dict[str, Any] = {
        "prediction_id": f"p{number:06d}",
        "request_id": f"r{number // 2}",
        "created_at": NOON + timedelta(minutes=number),
        "model_name": "m",
        "version": 3,
        "example": {"text": f"text {number}"},
        "output": {"label": "a"},
        "probabilities": {"a": 0.75, "b": 0.25},
        "confidence": 0.75,
    }
    return LoggedPrediction(**{**values, **changed})


def label(number: int, what: Any = "b", minutes: int = 0) -> LateLabel:
    when = NOON + timedelta(days=1, minutes=minutes)
    return LateLabel(prediction_id=f"p{number:06d}", label=what, labelled_at=when, source="desk")


def ids(rows: list[Any]) -> list[str]:
    return [row.prediction.prediction_id for row in rows]


def test_what_is_appended_is_read_back_as_it_was(log: TrafficLog) -> None:
    odd = prediction(
        1, example={"text": "nul \x00, half \ud800, 日本"}, output={"spans": [[1, 2], []]},
        probabilities=None, confidence=None, segment="de", session="s1",
        embedding_digest="ab" * 32,
    )  # fmt: skip
    log.append([prediction(0), odd])
    rows = log.read()
    assert [row.prediction for row in rows] == [prediction(0), odd]
    assert [row.label for row in rows] == [None, None]
    assert rows[0].prediction.created_at.tzinfo is UTC


def test_a_server_that_never_answers_is_an_error_after_some_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(database._PATIENCE, "connect_timeout", 2)  # the least there is
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(TrafficError, match="the traffic log cannot be read"):
            TrafficLog(f"postgresql+psycopg://ada:secret@127.0.0.1:{port}/traffic")


def test_a_statement_of_a_writer_on_postgresql_ends_after_a_minute(
    server: postgresql.PostgresServer,
) -> None:
    log = TrafficLog(server.new_database())
    with log.database.writing() as connection:
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "1min"
    with log.database.reading() as connection:
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "0"
    log.close()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),  # half characters too
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=()), max_size=5), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=40)  # each makes a database
@given(st.dictionaries(st.text(max_size=5), JSON), JSON.filter(lambda value: value is not None))
def test_any_json_is_read_back_exactly(example: dict[str, Any], late: Any) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        log = TrafficLog(f"sqlite:///{directory}/traffic.db")
        log.append([prediction(0, example=example, output=example)])
        log.add_labels([label(0, late)])
        (row,) = log.read()
        assert repr(row.prediction.example) == repr(row.prediction.output) == repr(example)
        assert row.label is not None
        assert repr(row.label.label) == repr(late)
        log.close()


def test_what_only_pythons_json_can_hold_is_read_back_too(log: TrafficLog) -> None:
    odd = {"text": "half of a pair: \ud83d, nothing: \x00", "number": 10**30}
    log.append([prediction(1, example=odd)])
    assert log.read()[0].prediction.example == odd


def test_a_row_that_is_read_is_a_value_like_any_other(log: TrafficLog) -> None:
    log.append([prediction(1), prediction(2)])
    log.add_labels([LateLabel(prediction_id="p000001", label="b", labelled_at=NOON, source="s")])
    for row in log.read():
        checked = TrafficRow.model_validate(row.model_dump())
        assert (row, row.model_dump_json()) == (checked, checked.model_dump_json())
        changed = row.prediction.model_copy(update={"version": 9})
        assert (changed.version, row.prediction.version) == (9, 3)
        assert changed.model_fields_set == checked.prediction.model_fields_set
        with pytest.raises(ValidationError, match="frozen"):
            row.sequence = 7  # type: ignore[misc]


def test_an_older_log_gets_the_columns_that_it_lacks(log: TrafficLog) -> None:
    log.append([prediction(0, session="s1")])
    with log.database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE holdfast_traffic DROP COLUMN session")
    address = log.database.engine.url.render_as_string(hide_password=False)
    again = TrafficLog(address)
    again.append([prediction(1, session="s2")])
    assert [row.prediction.session for row in again.read()] == [None, "s2"]
    again.close()


def test_a_repeated_prediction_is_not_doubled(log: TrafficLog) -> None:
    log.append([prediction(0)])
    log.append([prediction(0, version=9), prediction(1), prediction(1, version=9)])
    assert [(row.prediction.version) for row in log.read()] == [3, 3]
    assert log.count() == 2


def test_nothing_is_nothing(log: TrafficLog) -> None:
    log.append([])
    assert log.add_labels([]) == 0
    assert (log.count(), log.read(), log.forget(NOON)) == (0, [], 0)


def test_a_cursor_meets_every_row_once(log: TrafficLog) -> None:
    log.append([prediction(n, model_name="mn"[n % 2]) for n in range(25)])
    met: list[str] = []
    after = 0
    while page := log.read(after, limit=4):
        met += ids(page)
        after = page[-1].sequence
    assert met == [f"p{n:06d}" for n in range(25)]
    assert ids(log.read(limit=3, model_name="n")) == ["p000001", "p000003", "p000005"]


def test_a_window_has_its_start_and_not_its_end(log: TrafficLog) -> None:
    log.append([prediction(n, model_name="mn"[n % 2]) for n in (5, 3, 4, 2, 1)])
    start, end = NOON + timedelta(minutes=2), NOON + timedelta(minutes=5)
    assert ids(log.window(start, end)) == ["p000002", "p000003", "p000004"]
    elsewhere = start.astimezone(timezone(timedelta(hours=9)))
    assert ids(log.window(elsewhere, end, model_name="n")) == ["p000003"]


def test_a_late_label_is_joined_to_its_prediction(log: TrafficLog) -> None:
    log.append([prediction(n) for n in range(3)])
    assert log.add_labels([label(1), label(2, {"tags": ["O"]})]) == 2
    assert [row.label for row in log.read()] == [None, label(1), label(2, {"tags": ["O"]})]


def test_the_later_of_two_labels_stands(log: TrafficLog) -> None:
    log.append([prediction(0)])
    assert log.add_labels([label(0, "b", 5), label(0, "c", 9)]) == 1
    assert log.add_labels([label(0, "d", 7)]) == 0
    assert log.add_labels([label(0, "c", 9)]) == 0
    assert log.read()[0].label == label(0, "c", 9)
    assert log.add_labels([label(0, None, 10)]) == 1
    assert log.read()[0].label == label(0, None, 10)


def test_many_labels_are_few_statements_and_counted_as_they_are_one_by_one(
    log: TrafficLog,
) -> None:
    log.append([prediction(n) for n in range(1_200)])
    assert log.add_labels([label(n, "b") for n in range(600)]) == 600
    statements: list[str] = []
    sa.event.listen(
        log.database.engine, "before_cursor_execute", lambda *given: statements.append(given[2])
    )
    # Of the older labels every third is passed by a newer one; 600 predictions have none yet.
    assert log.add_labels([label(n, "c", minutes=n % 3 == 0) for n in range(1_200)]) == 800
    assert len(statements) < 12
    kept = [row.label.label for row in log.read() if row.label is not None]
    assert kept == ["c" if n % 3 == 0 or n >= 600 else "b" for n in range(1_200)]


def test_labels_of_unknown_predictions_are_refused_by_name_and_none_is_added(
    log: TrafficLog,
) -> None:
    log.append([prediction(0)])
    with pytest.raises(TrafficError, match=r"2 labels of predictions .* p000007, p000008"):
        log.add_labels([label(0), label(7), label(8)])
    assert log.read()[0].label is None


def test_what_is_forgotten_is_gone_with_its_label_and_cursors_stay_right(log: TrafficLog) -> None:
    log.append([prediction(n) for n in range(6)])
    log.add_labels([label(n) for n in range(6)])
    assert log.forget(NOON + timedelta(minutes=6)) == 6
    log.append([prediction(9)])
    assert log.read()[0].sequence > 6
    assert log.read()[0].label is None
    with pytest.raises(TrafficError, match="p000002"):
        log.add_labels([label(2, minutes=20)])


def test_others_can_write_between_the_few_hundred_rows_that_are_forgotten_at_once(
    log: TrafficLog,
) -> None:
    log.append([prediction(n) for n in range(1_201)])
    commits: list[object] = []
    sa.event.listen(log.database.engine, "commit", commits.append)
    assert log.forget(NOON + timedelta(minutes=1_200), at_most=600) == 1_000
    assert len(commits) == 2
    assert log.forget(NOON + timedelta(minutes=1_200)) == 200
    assert ids(log.read()) == ["p001200"]


def test_an_open_reader_is_not_waited_for_and_its_journal_is_emptied_later(
    tmp_path: Path,
) -> None:
    log = TrafficLog(f"sqlite:///{tmp_path / 'traffic.db'}")
    log.append([prediction(n) for n in range(9)])
    with log.database.reading() as reader:
        reader.exec_driver_sql("BEGIN")
        reader.exec_driver_sql("SELECT count(*) FROM holdfast_traffic").all()
        began = time.monotonic()
        assert log.forget(NOON + timedelta(days=1)) == 9
        assert time.monotonic() - began < 10
        reader.exec_driver_sql("ROLLBACK")
    assert (tmp_path / "traffic.db-wal").stat().st_size > 0
    assert log.forget(NOON + timedelta(days=1)) == 0
    assert (tmp_path / "traffic.db-wal").stat().st_size == 0
    log.close()


def test_forgotten_text_is_not_left_in_the_files(tmp_path: Path) -> None:
    log = TrafficLog(f"sqlite:///{tmp_path / 'traffic.db'}")
    log.append([prediction(n, example={"text": "secret words"}) for n in range(500)])
    log.forget(NOON + timedelta(days=9))
    assert not [f.name for f in tmp_path.iterdir() if b"secret words" in f.read_bytes()]
    log.close()


def test_the_export_holds_every_row(log: TrafficLog, tmp_path: Path) -> None:
    log.append([prediction(n) for n in range(5)])
    log.add_labels([label(4)])
    assert log.export(tmp_path / "traffic.parquet") == 5
    rows = pq.read_table(tmp_path / "traffic.parquet").to_pylist()
    assert [row["prediction_id"] for row in rows] == [f"p{n:06d}" for n in range(5)]
    assert json.loads(rows[0]["probabilities"]) == {"a": 0.75, "b": 0.25}
    assert rows[0]["created_at"] == NOON
    assert (rows[0]["label"], rows[4]["label"], rows[4]["source"]) == (None, '"b"', "desk")


def test_two_logs_of_one_database_stay_apart(url: str) -> None:
    log, shadow = TrafficLog(url), TrafficLog(url, table="holdfast_shadow")
    log.append([prediction(0)])
    assert (log.count(), shadow.count()) == (1, 0)
    log.close()
    shadow.close()


@pytest.mark.parametrize(
    "wrong",
    [{"prediction_id": "a b"}, {"created_at": datetime(2026, 1, 1)}, {"confidence": float("nan")}],  # noqa: DTZ001
)
def test_what_no_log_can_hold_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        prediction(0, **wrong)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "cannot be parsed"),
        ("mysql://h/d", "names mysql"),
        ("sqlite:///here.db", "no absolute path: here.db"),
        ("sqlite://", "no absolute path: memory"),
        ("postgresql+psycopg://u:a@b@h/d", "second @"),
        ("postgresql+nothing://h/d", "is not installed"),
        ("sqlite:////proc/none/t.db", "directory cannot be made"),
    ],
)
def test_a_wrong_address_is_refused(url: str, said: str) -> None:
    with pytest.raises(TrafficError, match=said):
        TrafficLog(url)


def test_no_message_tells_the_password() -> None:
    with pytest.raises(TrafficError, match="cannot be read") as caught:
        TrafficLog("postgresql+psycopg://u:hunter2@127.0.0.1:1/d?password=hunter2")
    assert "hunter2" not in str(caught.value)


def test_a_pool_without_a_free_connection_is_an_error_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, small = sa.create_engine, {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.01}
    monkeypatch.setattr(sa, "create_engine", lambda url, **how: make(url, **{**how, **small}))
    log = TrafficLog(f"sqlite:///{tmp_path / 'traffic.db'}")
    with log.database.reading(), pytest.raises(TrafficError, match="cannot be written: QueuePool"):
        log.append([prediction(0)])
    log.append([prediction(0)])
    log.close()


def run_writer(url: str, name: str, times: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITE, url, name, str(times)], stdout=subprocess.PIPE, text=True
    )


def test_several_processes_write_at_once_and_a_cursor_misses_nothing(url: str) -> None:
    log = TrafficLog(url)
    writers = [run_writer(url, name, 40) for name in ("x", "y", "z")]
    met: list[str] = []
    after = 0
    deadline = time.monotonic() + 60
    while len(met) < 360 and time.monotonic() < deadline:
        page = log.read(after, limit=7)
        met += ids(page)
        after = page[-1].sequence if page else after
    for writer in writers:
        said, _ = writer.communicate(timeout=60)
        assert writer.returncode == 0
        assert set(said.split()) <= set(met)
    assert len(met) == len(set(met)) == log.count() == 360
    log.close()


def test_a_killed_writer_loses_and_doubles_nothing_that_it_acknowledged(url: str) -> None:
    log = TrafficLog(url)
    writer = run_writer(url, "w", 1_000_000)
    while log.count() < 60:
        time.sleep(0.01)
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged = writer.communicate(timeout=60)[0].split()
    met = ids(log.read())
    assert len(met) == len(set(met))
    assert set(acknowledged) <= set(met)
    assert len(met) % 3 == 0  # a batch is there whole or not at all
    log.close()


@settings(max_examples=20)  # each makes a database
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), max_size=40),
    st.integers(1, 9),
    st.integers(0, 30),
)
def test_the_log_is_a_list_without_repeats(
    appended: list[tuple[int, int]], limit: int, cut: int
) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        log = TrafficLog(f"sqlite:///{directory}/traffic.db")
        model: dict[str, LoggedPrediction] = {}
        for number, version in appended:
            value = prediction(number, version=version)
            log.append([value])
            model.setdefault(value.prediction_id, value)
        log.forget(NOON + timedelta(minutes=cut))
        kept = [v for k, v in model.items() if int(k[1:]) >= cut]
        assert [row.prediction for row in log.read(limit=limit)] == kept[:limit]
        assert log.count() == len(kept)
        log.close()
