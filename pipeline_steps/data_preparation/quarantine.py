"""Rows that were set aside, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_steps.files import atomic_directory

QUARANTINE_SCHEMA = pa.schema(
    [
        ("example_id", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("source_file", pa.string()),
        ("line", pa.int64()),
        ("text", pa.string()),
        ("label", pa.string()),
    ]
)
_ROW_GROUP_ROWS = 20_000


def _empty_columns() -> dict[str, list[object]]:
    return {name: [] for name in QUARANTINE_SCHEMA.names}


@dataclass
class Quarantine:
    """Collects rows set aside and counts their reasons.

    What is collected is held as the compressed Parquet file that it will be, so that even a file
    of which every row is bad fits into memory.
    """

    counts: dict[str, int] = field(default_factory=dict)
    _columns: dict[str, list[object]] = field(default_factory=_empty_columns)
    _sink: pa.BufferOutputStream = field(default_factory=pa.BufferOutputStream)
    _writer: pq.ParquetWriter | None = None

    def add(self, reason: str, **values: object) -> None:
        """Set one row aside."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        for name, column in self._columns.items():
            column.append(reason if name == "reason" else values.get(name))
        if len(self._columns["reason"]) >= _ROW_GROUP_ROWS:
            self._flush()

    def write(self, directory: Path) -> None:
        """Write ``rows.parquet`` into ``directory``, whole or not at all, once all is added."""
        self._flush()
        assert self._writer is not None  # noqa: S101 - a flush opens it
        self._writer.close()
        content = self._sink.getvalue()
        with atomic_directory(directory) as temporary:
            (temporary / "rows.parquet").write_bytes(memoryview(content))

    @property
    def n_rows(self) -> int:
        """Rows set aside."""
        return sum(self.counts.values())

    def _flush(self) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._sink, QUARANTINE_SCHEMA)
        table = pa.table(self._columns, schema=QUARANTINE_SCHEMA)
        if table.num_rows:
            self._writer.write_table(table)
        self._columns = _empty_columns()
