"""The traffic log: each answered prediction, durable before its answer, with its late label."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from pipeline_steps.errors import TrafficError, counted
from pipeline_steps.monitoring.traffic_database import TrafficDatabase
from pipeline_steps.monitoring.traffic_export import write_parquet
from pipeline_steps.monitoring.traffic_schema import (
    DEFAULT_TABLE,
    label_columns,
    microseconds,
    prediction_columns,
    rows_from,
    rows_query,
)
from pipeline_steps.traffic_rows import LateLabel, LoggedPrediction, TrafficRow

__all__ = ["LateLabel", "LoggedPrediction", "TrafficLog", "TrafficRow"]

T = TypeVar("T")
_PAGE = 10_000
_IDS_A_QUERY = 500
_PAUSE = 0.02
"""Seconds in which others can write: SQLite lets nobody queue, so who comes back at once wins."""
_NAMED = 10


class TrafficLog:
    """Predictions in the order in which they were logged, in SQLite or PostgreSQL.

    Several processes may write and read at once.

    Parameters
    ----------
    url : str
        SQLAlchemy URL: ``sqlite:////absolute/path`` or ``postgresql+psycopg://...``. The first
        call makes the tables.
    table : str
        Name of the table, so that one database can hold several logs.

    Raises
    ------
    TrafficError
        If the database cannot be opened; every method raises it when it cannot be used.
    """

    def __init__(self, url: str, table: str = DEFAULT_TABLE) -> None:
        self.database = TrafficDatabase(url, table)
        self.tables = self.database.tables

    def close(self) -> None:
        """Close the connections that were kept open; the next call opens new ones."""
        self.database.engine.dispose()

    def append(self, predictions: Iterable[LoggedPrediction]) -> None:
        """Add predictions in one transaction, which is on the disk when this returns.

        One whose ``prediction_id`` is in the log already is left as it is.
        """
        rows = [prediction_columns(prediction) for prediction in predictions]
        if not rows:
            return
        with self.database.writing() as connection:
            connection.execute(self._insert(self.tables.predictions, "prediction_id"), rows)

    def add_labels(self, labels: Iterable[LateLabel]) -> int:
        """Add labels in one transaction and return how many were new or took an older one's place.

        Of two labels of one prediction the one with the later ``labelled_at`` stands; of two with
        the same time, the first that came.

        Raises
        ------
        TrafficError
            If a prediction is not in the log. Its id is named and no label is added.
        """
        given = list(labels)
        with self.database.writing() as connection:
            sequences = self._sequences(connection, {label.prediction_id for label in given})
            _refuse_unknown(given, sequences)
            newest = _newest(given)
            rows = [label_columns(sequences[id_], label) for id_, label in newest.items()]
            return self._put_labels(connection, rows)

    def read(
        self, after: int = 0, limit: int = _PAGE, model_name: str | None = None
    ) -> list[TrafficRow]:
        """Return at most ``limit`` rows whose ``sequence`` is above ``after``, in its order.

        The last row's ``sequence`` is the next call's ``after``; no row is missed or met twice.
        """
        column = self.tables.predictions.c.sequence
        query = self._rows(model_name).where(column > after).order_by(column).limit(limit)
        with self.database.reading() as connection:
            return rows_from(connection.execute(query).all())

    def window(
        self, start: datetime, end: datetime, model_name: str | None = None
    ) -> list[TrafficRow]:
        """Return the rows with ``start <= created_at < end``, by time and then ``sequence``."""
        columns = self.tables.predictions.c
        query = (
            self._rows(model_name)
            .where(columns.created_at >= microseconds(start))
            .where(columns.created_at < microseconds(end))
            .order_by(columns.created_at, columns.sequence)
        )
        with self.database.reading() as connection:
            return rows_from(connection.execute(query).all())

    def count(self) -> int:
        """Return how many predictions the log holds."""
        with self.database.reading() as connection:
            query = sa.select(sa.func.count()).select_from(self.tables.predictions)
            return int(connection.execute(query).scalar_one())

    def known(self, prediction_ids: Iterable[str]) -> set[str]:
        """Return which of some ids the log holds."""
        with self.database.reading() as connection:
            return set(self._sequences(connection, set(prediction_ids)))

    def forget(self, before: datetime, at_most: int | None = None) -> int:
        """Remove predictions from before a time with their labels and return how many those were.

        It is done some hundred rows at a time, so that who appends need not wait for all of it.

        Parameters
        ----------
        at_most : int, optional
            About how many rows to remove; the next call goes on.
        """
        forgotten = 0
        while at_most is None or forgotten < at_most:
            removed = self._forget_some(microseconds(before))
            if not removed:
                break
            forgotten += removed
            time.sleep(_PAUSE)
        if self.database.engine.dialect.name == "sqlite":
            self._empty_journal()
        return forgotten

    def export(self, path: Path) -> int:
        """Write the log as one Parquet file, which appears whole, and return its number of rows.

        Columns: ``sequence``, those of a prediction, and ``label``, ``labelled_at``, ``source``
        (null without a label). Times are UTC timestamps; ``example``, ``output``,
        ``probabilities`` and ``label`` are JSON.
        """
        return write_parquet(Path(path), self._pages())

    def _pages(self) -> Iterator[list[TrafficRow]]:
        after = 0
        while page := self.read(after):
            yield page
            after = page[-1].sequence

    def _rows(self, model_name: str | None) -> sa.Select[Any]:
        query = rows_query(self.tables)
        if model_name is None:
            return query
        return query.where(self.tables.predictions.c.model_name == model_name)

    def _insert(self, table: sa.Table, key: str) -> Any:
        return self._dialect_insert(table).on_conflict_do_nothing(index_elements=[key])

    def _dialect_insert(self, table: sa.Table) -> Any:
        from sqlalchemy.dialects import postgresql, sqlite

        dialects: dict[str, Any] = {"sqlite": sqlite, "postgresql": postgresql}
        return dialects[self.database.engine.dialect.name].insert(table)

    def _put_labels(self, connection: sa.Connection, rows: list[dict[str, Any]]) -> int:
        """Write labels, many in a statement, and return how many of them stand now."""
        if not rows:
            return 0
        table = self.tables.labels
        insert = self._dialect_insert(table)
        given = {name: insert.excluded[name] for name in ("label", "labelled_at", "source")}
        newer = table.c.labelled_at < insert.excluded.labelled_at
        statement = insert.on_conflict_do_update(
            index_elements=["sequence"], set_=given, where=newer
        )
        return len(connection.execute(statement.returning(table.c.sequence), rows).all())

    def _sequences(self, connection: sa.Connection, ids: set[str]) -> dict[str, int]:
        columns = self.tables.predictions.c
        found: dict[str, int] = {}
        for some in _slices(sorted(ids)):
            query = sa.select(columns.prediction_id, columns.sequence)
            rows = connection.execute(query.where(columns.prediction_id.in_(some)))
            found.update((row.prediction_id, row.sequence) for row in rows)
        return found

    def _empty_journal(self) -> None:
        """Take the journal's text away too, unless somebody reads it: then the next call does.

        To wait for readers would be to keep writers waiting.
        """
        with self.database.reading() as connection:
            connection.detach()  # so that what is set here is no other connection's setting
            connection.exec_driver_sql("PRAGMA busy_timeout = 0")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def _forget_some(self, before: int) -> int:
        predictions, labels = self.tables.predictions, self.tables.labels
        oldest = sa.select(predictions.c.sequence).where(predictions.c.created_at < before)
        with self.database.writing() as connection:
            some = connection.execute(oldest.limit(_IDS_A_QUERY)).scalars().all()
            for table in (labels, predictions) if some else ():
                connection.execute(sa.delete(table).where(table.c.sequence.in_(some)))
        return len(some)


def _slices(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), _IDS_A_QUERY):
        yield values[start : start + _IDS_A_QUERY]


def _newest(labels: Sequence[LateLabel]) -> dict[str, LateLabel]:
    newest: dict[str, LateLabel] = {}
    for label in labels:
        known = newest.get(label.prediction_id)
        if known is None or known.labelled_at < label.labelled_at:
            newest[label.prediction_id] = label
    return newest


def _refuse_unknown(labels: Sequence[LateLabel], known: dict[str, int]) -> None:
    unknown = list(dict.fromkeys(x.prediction_id for x in labels if x.prediction_id not in known))
    if unknown:
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        raise TrafficError(
            f"{counted(len(unknown), 'label')} of predictions that are not in the log: "
            f"{', '.join(unknown[:_NAMED])}{more}",
            expected="ids that the service answered with and that are not forgotten yet",
            fix="leave these labels out and send the others again",
        )
