"""The traffic log as a Parquet file, written page by page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_steps.files import atomic_file
from pipeline_steps.traffic_rows import LoggedPrediction, TrafficRow

_TIME = pa.timestamp("us", tz="UTC")
_KINDS = {"created_at": _TIME, "version": pa.int64(), "confidence": pa.float64()}
_JSON = ("example", "output", "probabilities")
SCHEMA = pa.schema(
    [
        ("sequence", pa.int64()),
        *((name, _KINDS.get(name, pa.string())) for name in LoggedPrediction.model_fields),
        ("label", pa.string()),
        ("labelled_at", _TIME),
        ("source", pa.string()),
    ]
)


def write_parquet(path: Path, pages: Iterable[Sequence[TrafficRow]]) -> int:
    """Write rows as a file that appears whole and return how many they were."""
    n = 0
    with atomic_file(path) as temporary, pq.ParquetWriter(temporary, SCHEMA) as writer:
        for page in pages:
            writer.write_table(pa.Table.from_pylist([_columns(row) for row in page], SCHEMA))
            n += len(page)
    return n


def _columns(row: TrafficRow) -> dict[str, Any]:
    columns = {name: getattr(row.prediction, name) for name in LoggedPrediction.model_fields}
    for name in _JSON:
        columns[name] = None if columns[name] is None else json.dumps(columns[name])
    label = row.label and {
        "label": json.dumps(row.label.label),
        "labelled_at": row.label.labelled_at,
        "source": row.label.source,
    }
    return {"sequence": row.sequence, **columns, **(label or {})}
