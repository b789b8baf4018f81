"""Raw files to one file of examples, row by row; unreadable rows go to quarantine."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_steps.data_preparation.quarantine import Quarantine
from pipeline_steps.data_preparation.readers import (
    RawRow,
    RejectedRow,
    RowReader,
    require_columns,
)
from pipeline_steps.digests import file_digest
from pipeline_steps.files import atomic_directory, remove_partial_files
from pipeline_steps.params import ColumnsParams, IngestParams, SourceParams
from pipeline_steps.types import DatasetRef

EXAMPLES_SCHEMA = pa.schema(
    [
        ("example_id", pa.string()),
        ("text", pa.string()),
        ("text_pair", pa.string()),
        ("label", pa.string()),
        ("source", pa.string()),
        ("domain", pa.string()),
        ("timestamp", pa.timestamp("us", tz="UTC")),
        ("group", pa.string()),
        ("role", pa.string()),
    ]
)
INGESTED = Path("data/ingested")
QUARANTINE = Path("data/quarantine/ingest")


def ingest(params: IngestParams, root: Path) -> DatasetRef:
    """Return the examples read from all sources.

    Parameters
    ----------
    params : IngestParams
        Sources, column mapping, limits.
    root : Path
        The workspace; ``data/ingested`` and ``data/quarantine/ingest`` are written below it.

    Raises
    ------
    DataError
        If a source is missing, empty, corrupt or lacks a mapped column.
    """
    remove_partial_files(root / "data")
    quarantine = Quarantine()
    report: dict[str, Any] = {"sources": [], "unparsed_timestamps": 0}
    with atomic_directory(root / INGESTED) as directory:
        n_kept = _write_examples(directory, params, root, quarantine, report)
        report.update(n_kept=n_kept, n_rejected=quarantine.n_rows, rejected=quarantine.counts)
        text = json.dumps(report, indent=2, sort_keys=True)
        (directory / "report.json").write_text(text, encoding="utf-8")
        quarantine.write(root / QUARANTINE)
    path = root / INGESTED / "examples.parquet"
    digest = file_digest(path, "md5")
    return DatasetRef(name="ingested", split="all", path=path, digest=digest, n_examples=n_kept)


def _write_examples(
    directory: Path,
    params: IngestParams,
    root: Path,
    quarantine: Quarantine,
    report: dict[str, Any],
) -> int:
    n_kept = 0
    with pq.ParquetWriter(directory / "examples.parquet", EXAMPLES_SCHEMA) as writer:
        for source in params.sources:
            examples = _examples(source, params, root, quarantine, report)
            while batch := list(islice(examples, params.batch_rows)):
                writer.write_table(pa.Table.from_pylist(batch, schema=EXAMPLES_SCHEMA))
                n_kept += len(batch)
    return n_kept


def _examples(
    source: SourceParams,
    params: IngestParams,
    root: Path,
    quarantine: Quarantine,
    report: dict[str, Any],
) -> Iterator[dict[str, Any]]:
    """Yield the examples of one source; what is none goes to quarantine."""
    reader = RowReader(root / source.path, source.format, params.max_line_bytes)
    checked = False
    for row in reader:
        if isinstance(row, RejectedRow):
            _set_aside(quarantine, source, row)
            continue
        if not checked:
            require_columns(Path(source.path), row.fields, _mapped(params.columns))
            checked = True
        example = _example(row, source, params.columns, report)
        if isinstance(example, RejectedRow):
            _set_aside(quarantine, source, example)
        else:
            yield example
    report["sources"].append({"path": source.path, "role": source.role, "rows": reader.n_rows})


def _set_aside(quarantine: Quarantine, source: SourceParams, row: RejectedRow) -> None:
    quarantine.add(
        row.reason,
        example_id=f"{Path(source.path).name}:{row.line}",
        detail=row.detail,
        source_file=source.path,
        line=row.line,
        text=row.excerpt,
    )


def _mapped(columns: ColumnsParams) -> list[str]:
    return [name for name in columns.model_dump().values() if name is not None]


def _example(
    row: RawRow, source: SourceParams, columns: ColumnsParams, report: dict[str, Any]
) -> dict[str, Any] | RejectedRow:
    def value(name: str) -> Any:
        column = getattr(columns, name)
        return None if column is None else _missing_as_none(row.fields.get(column))

    text, pair = value("text"), value("text_pair")
    for field in (text, pair):
        if field is not None and not isinstance(field, str):
            detail = f"a {type(field).__name__} where text was expected"
            return RejectedRow(row.line, "text_not_a_string", detail, str(field)[:200])
    timestamp = _timestamp(value("timestamp"))
    report["unparsed_timestamps"] += timestamp is None and value("timestamp") is not None
    return {
        "example_id": _as_text(value("id")) or f"{Path(source.path).name}:{row.line}",
        "text": text,
        "text_pair": pair,
        "label": _as_text(value("label")),
        "source": _as_text(value("source")) or Path(source.path).name,
        "domain": _as_text(value("domain")) or source.domain,
        "timestamp": timestamp,
        "group": _as_text(value("group")),
        "role": source.role,
    }


def _missing_as_none(value: Any) -> Any:
    """Return ``None`` for NaN, which is how tables write a missing text."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _as_text(value: Any) -> str | None:
    """Return ids, labels and names as text; 3.0 is "3"."""
    if value is None or value == "":
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _timestamp(value: Any) -> datetime | None:
    """Return a point in time (UTC) from ISO 8601, seconds since 1970, or a datetime."""
    try:
        if isinstance(value, str):
            value = float(value) if value.replace(".", "", 1).isdigit() else _iso(value)
        if isinstance(value, int | float):
            value = datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    if not isinstance(value, datetime):
        return None
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def _iso(value: str) -> datetime:
    return datetime.fromisoformat(value)
