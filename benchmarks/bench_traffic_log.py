"""Appends to the traffic log and reads of it while it grows to millions of rows.

The rows before those that are measured are made by the database itself, all at once and not
durably; what is measured are the log's own methods. By default on SQLite in a temporary directory.

    .venv/bin/python benchmarks/bench_traffic_log.py [--rows 100000 1000000 10000000]
    .venv/bin/python benchmarks/bench_traffic_log.py --url postgresql+psycopg://user:password@host/empty
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from records import record, write_records

from pipeline_steps.monitoring.traffic import LateLabel, LoggedPrediction, TrafficLog
from pipeline_steps.serving.identifiers import prediction_id

START = datetime(2026, 1, 1, tzinfo=UTC)
TEXT = "my card was charged twice please send the refund to another account"
GROUP, N_GROUPS, N_LABELLED, WINDOW, N_WINDOWS = 64, 100, 20, 10_000, 5
_SLICE = 500_000
_COLUMNS = (
    "prediction_id, request_id, created_at, model_name, version, example, output, "
    "probabilities, confidence"
)
_MADE = (
    "'m', 1, '{\"text\": \"" + TEXT + " ' || i || '\"}', '{\"label\": \"a\"}', "
    '\'{"a": 0.9, "b": 0.1}\', 0.9'
)
_FILL = {
    "sqlite": (
        f"WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :end) "
        f"INSERT INTO holdfast_traffic ({_COLUMNS}) SELECT printf('%012x', (:start + i * 1000) / "
        f"1000) || lower(hex(randomblob(10))), printf('%032x', i), :start + i * 1000, {_MADE} FROM n"
    ),
    "postgresql": (
        f"INSERT INTO holdfast_traffic ({_COLUMNS}) SELECT lpad(to_hex((:start + i * 1000) / 1000), "
        f"12, '0') || left(md5(random()::text), 20), lpad(to_hex(i), 32, '0'), :start + i * 1000, "
        f"{_MADE} FROM generate_series(CAST(:first AS bigint), CAST(:end AS bigint) - 1) AS n(i)"
    ),
}


def fill(log: TrafficLog, rows: int) -> None:
    """Let the log have ``rows`` rows, one a millisecond."""
    engine = log.database.engine
    statement = sa.text(_FILL[engine.dialect.name])
    start = int(START.timestamp() * 1_000_000)
    for first in range(log.count(), rows, _SLICE):
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA synchronous = OFF")
            connection.execute(
                statement, {"first": first, "end": min(rows, first + _SLICE), "start": start}
            )
            connection.commit()
    engine.dispose()  # what is measured opens its own connection, and that one is durable


def group_of(first: int) -> list[LoggedPrediction]:
    return [
        LoggedPrediction(
            prediction_id=prediction_id(), request_id=f"{i:032x}",
            created_at=START + timedelta(milliseconds=i), model_name="m", version=1,
            example={"text": f"{TEXT} {i}"}, output={"label": "a"},
            probabilities={"a": 0.9, "b": 0.1}, confidence=0.9,
        )
        for i in range(first, first + GROUP)
    ]  # fmt: skip


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Return the seconds that a call took: on the clock, and of the processor."""
    began, used = time.perf_counter(), time.thread_time()
    work()
    return time.perf_counter() - began, time.thread_time() - used


def labels_of(group: list[LoggedPrediction]) -> list[LateLabel]:
    now = datetime.now(UTC)
    return [
        LateLabel(prediction_id=p.prediction_id, label="a", labelled_at=now, source="desk")
        for p in group
    ]


def measured(log: TrafficLog, rows: int) -> list[dict[str, Any]]:
    """Return records of appends, late labels, windows and pages, on the clock and in CPU time."""
    groups = [group_of(rows + n * GROUP) for n in range(N_GROUPS)]
    taken = {"append_64": [timed(partial(log.append, group)) for group in groups]}
    labels = [labels_of(group) for group in groups[:N_LABELLED]]
    taken["label_64"] = [timed(partial(log.add_labels, given)) for given in labels]
    taken["window_10000"], taken["page_10000"] = [], []
    for n in range(N_WINDOWS):
        first = int((n + 0.5) / N_WINDOWS * (rows - WINDOW))
        begin, end = (START + timedelta(milliseconds=i) for i in (first, first + WINDOW))
        taken["window_10000"].append(timed(partial(log.window, begin, end)))
        taken["page_10000"].append(timed(partial(log.read, first, WINDOW)))
    return [found for name, times in taken.items() for found in records_of(name, times, rows)]


def records_of(name: str, times: list[tuple[float, float]], rows: int) -> list[dict[str, Any]]:
    wall, cpu = (sorted(1e3 * each for each in column) for column in zip(*times, strict=True))
    values = {
        "p50": statistics.median(wall),
        "p99": wall[int(0.99 * len(wall))],
        "cpu_p50": statistics.median(cpu),
        "cpu_min": cpu[0],
    }
    print(f"{rows:11,} {name:13}" + "".join(f" {k} {v:9.2f} ms" for k, v in values.items()))
    return [record(f"log_{name}_{k}_at_{rows}", v, "ms", n=len(wall)) for k, v in values.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--url", default=None)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        log = TrafficLog(asked.url or f"sqlite:///{Path(directory) / 'traffic.db'}")
        found: list[dict[str, Any]] = []
        for rows in sorted(asked.rows):
            began = time.perf_counter()
            fill(log, rows)
            print(f"filled to {rows:,} in {time.perf_counter() - began:.0f} s", flush=True)
            found += measured(log, rows)
        backend = log.database.engine.dialect.name
        log.close()
    name = "traffic_log" if backend == "sqlite" else f"traffic_log_{backend}"
    print(write_records(name, found))


if __name__ == "__main__":
    main()
