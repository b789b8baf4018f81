"""The tables of the traffic log, and rows to values and back.

Times are whole microseconds since 1970 (UTC): both databases compare them alike and exactly. What
has a shape of its own (inputs, outputs, probabilities, labels) is JSON text in ASCII, since
PostgreSQL takes no NUL character and no lone surrogate.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from pydantic_core import from_json

from pipeline_steps.traffic_rows import LateLabel, LoggedPrediction, TrafficRow, unchecked

DEFAULT_TABLE = "holdfast_traffic"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_JSON = ("example", "output", "probabilities")


@dataclass(frozen=True)
class TrafficTables:
    """Predictions, and labels under the predictions' sequence numbers."""

    predictions: sa.Table
    labels: sa.Table


def traffic_tables(name: str) -> TrafficTables:
    """Return the two tables of a log.

    A sequence number is never used twice (``sqlite_autoincrement``): a reader's cursor stays right
    after old rows were forgotten.
    """
    metadata = sa.MetaData()
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    predictions = sa.Table(
        name,
        metadata,
        sa.Column("sequence", number, primary_key=True, autoincrement=True),
        sa.Column("prediction_id", sa.String(128), nullable=False, unique=True),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False, index=True),
        sa.Column("model_name", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("example", sa.Text, nullable=False),
        sa.Column("output", sa.Text, nullable=False),
        sa.Column("probabilities", sa.Text),
        sa.Column("confidence", sa.Double),
        sa.Column("segment", sa.Text),
        sa.Column("embedding_digest", sa.Text),
        sa.Column("session", sa.Text),
        sqlite_autoincrement=True,
    )
    labels = sa.Table(
        f"{name}_labels",
        metadata,
        sa.Column("sequence", number, primary_key=True, autoincrement=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("labelled_at", sa.BigInteger, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
    )
    return TrafficTables(predictions, labels)


def microseconds(moment: datetime) -> int:
    """Return whole microseconds since 1970 (UTC)."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(count: int) -> datetime:
    """Return the time, in UTC, that many microseconds after the start of 1970."""
    return _EPOCH + count * _MICROSECOND


def prediction_columns(prediction: LoggedPrediction) -> dict[str, Any]:
    """Return what is stored of a prediction, by column."""
    columns = {name: getattr(prediction, name) for name in LoggedPrediction.model_fields}
    columns["created_at"] = microseconds(prediction.created_at)
    for name in _JSON:
        columns[name] = None if columns[name] is None else json.dumps(columns[name])
    return columns


def label_columns(sequence: int, label: LateLabel) -> dict[str, Any]:
    """Return what is stored of a label, by column."""
    return {
        "sequence": sequence,
        "label": json.dumps(label.label),
        "labelled_at": microseconds(label.labelled_at),
        "source": label.source,
    }


def rows_query(tables: TrafficTables) -> sa.Select[Any]:
    """Return the query for predictions with their labels; :func:`rows_from` reads its rows."""
    predictions, labels = tables.predictions, tables.labels
    return sa.select(
        predictions, *(labels.c[name].label(name) for name in ("label", "labelled_at", "source"))
    ).select_from(predictions.outerjoin(labels, labels.c.sequence == predictions.c.sequence))


def rows_from(records: Iterable[Sequence[Any]]) -> list[TrafficRow]:
    """Return the values of the rows of :func:`rows_query`.

    What was checked when it was written is not checked again, and rows are taken apart by place:
    together that is most of the time of a read.
    """
    with _uncollected():
        return [_row(*record) for record in records]


@contextmanager
def _uncollected() -> Iterator[None]:
    """Let no garbage be collected: a search after each 700 rows finds none, and costs a fifth."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _row(  # noqa: PLR0913, PLR0917 - the columns of the query, in its order
    sequence: int,
    prediction_id: str,
    request_id: str,
    created_at: int,
    model_name: str,
    version: int,
    example: str,
    output: str,
    probabilities: str | None,
    confidence: float | None,
    segment: str | None,
    embedding_digest: str | None,
    session: str | None,
    label: str | None,
    labelled_at: int | None,
    source: str | None,
) -> TrafficRow:
    prediction = unchecked(
        LoggedPrediction,
        {
            "prediction_id": prediction_id,
            "request_id": request_id,
            "created_at": moment_of(created_at),
            "model_name": model_name,
            "version": version,
            "example": parsed(example),
            "output": parsed(output),
            "probabilities": None if probabilities is None else parsed(probabilities),
            "confidence": confidence,
            "segment": segment,
            "embedding_digest": embedding_digest,
            "session": session,
        },
    )
    late = None
    if label is not None:
        late = unchecked(
            LateLabel,
            {
                "prediction_id": prediction_id,
                "label": parsed(label),
                "labelled_at": moment_of(labelled_at or 0),
                "source": source,
            },
        )
    return unchecked(TrafficRow, {"sequence": sequence, "prediction": prediction, "label": late})


def parsed(text: str) -> Any:
    """Return what a JSON text says, by pydantic's parser, which is several times as quick."""
    try:
        return from_json(text)
    except ValueError:  # a lone surrogate, which a client may send and only Python's parser takes
        return json.loads(text)
