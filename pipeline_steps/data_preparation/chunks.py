"""Parquet files in chunks of bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def read_chunks(
    path: Path, batch_rows: int, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file in order, ``batch_rows`` at a time and never over a row group.

    Ingest ends a row group early where rows are long, so a chunk is never many times larger than
    what ingest held.
    """
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            yield from file.iter_batches(
                batch_size=batch_rows,
                row_groups=[group],
                columns=None if columns is None else list(columns),
            )
