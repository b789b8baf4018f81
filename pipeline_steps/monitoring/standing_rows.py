"""The rows of a standing draw in the monitor's tables: their labels as they are today."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pipeline_steps.monitoring.monitor_store import MonitorStore
from pipeline_steps.monitoring.standing import StandingDraw, draw_prefix
from pipeline_steps.monitoring.traffic_schema import moment_of, parsed
from pipeline_steps.types import Value


class DrawnRow(Value):
    """A drawn row that the log still has; ``output`` is ``None`` where it has no label yet."""

    prediction_id: str
    sequence: int
    created_at: datetime
    output: dict[str, Any] | None = None
    label: Any = None


def next_position(store: MonitorStore, name: str) -> int:
    """Return the position of the next row of a draw."""
    column = store.tables.requests.c
    query = sa.select(sa.func.max(column.position)).where(column.ticket == name)
    with store.database.reading() as connection:
        last = connection.scalar(query)
    return 0 if last is None else int(last) + 1


def rows_of_draw(store: MonitorStore, name: str) -> list[DrawnRow]:
    """Return the rows of a draw in their order, without those that nobody can label."""
    return list(_found(store, store.tables.requests.c.ticket == name))


def unlabelled_rows(store: MonitorStore, model_name: str, most: int) -> list[DrawnRow]:
    """Return the newest rows of a model's draws that a person is asked for, oldest first."""
    column = store.tables.requests.c.ticket
    named = column.startswith(draw_prefix(model_name, asked=True), autoescape=True)
    waiting = [row for row in _found(store, named) if row.output is None]
    return waiting[-most:]


def forget_draws(store: MonitorStore, draw: StandingDraw, keep: int) -> int:
    """Return how many rows were forgotten: old ones of a draw, and all of the model's others."""
    table = store.tables.requests
    prefixes = [draw_prefix(draw.model_name, asked=asked) for asked in (True, False)]
    of_model = sa.or_(*(table.c.ticket.startswith(p, autoescape=True) for p in prefixes))
    old = (table.c.ticket == draw.name) & (
        table.c.position < next_position(store, draw.name) - keep
    )
    gone = old | (of_model & (table.c.ticket != draw.name))
    with store.database.reading() as connection:
        if connection.execute(sa.select(table.c.position).where(gone).limit(1)).first() is None:
            return 0
    with store.database.writing() as connection:
        return connection.execute(sa.delete(table).where(gone)).rowcount


def _found(store: MonitorStore, wanted: sa.ColumnElement[bool]) -> Iterator[DrawnRow]:
    """Yield rows of draws; of one that has no label nothing of its answer is read."""
    asked, traffic, labels = (
        store.tables.requests,
        store.log.tables.predictions,
        store.log.tables.labels,
    )
    output = sa.case((labels.c.sequence.is_not(None), traffic.c.output))
    skipped = asked.c.skipped & (
        labels.c.labelled_at.is_(None)
        | sa.func.coalesce(labels.c.labelled_at == asked.c.skipped_over, sa.false())
    )
    query = (
        sa.select(
            asked.c.prediction_id, asked.c.sequence, traffic.c.created_at, output, labels.c.label
        )
        .join(traffic, traffic.c.sequence == asked.c.sequence)
        .outerjoin(labels, labels.c.sequence == asked.c.sequence)
        .where(wanted, ~skipped)
        .order_by(asked.c.sequence)
    )
    with store.database.reading() as connection:
        found = connection.execute(query).all()
    for name, sequence, created_at, said, label in found:
        yield DrawnRow(
            prediction_id=name,
            sequence=sequence,
            created_at=moment_of(created_at),
            output=None if said is None else parsed(said),
            label=None if label is None else parsed(label),
        )
