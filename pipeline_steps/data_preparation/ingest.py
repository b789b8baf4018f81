"""Raw files to one file of examples, row by row; unreadable rows go to quarantine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_steps.data_params import IngestParams, SourceParams
from pipeline_steps.data_preparation.examples import (
    EXAMPLES_SCHEMA,
    read_example,
    read_label,
    row_name,
    value_of,
)
from pipeline_steps.data_preparation.quarantine import Quarantine
from pipeline_steps.data_preparation.raw_rows import RawRow, RejectedRow
from pipeline_steps.data_preparation.readers import RowReader, require_columns
from pipeline_steps.digests import file_digest
from pipeline_steps.fields import NotAValueError
from pipeline_steps.files import atomic_directory, remove_partial_files
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.problem import Problem
from pipeline_steps.types import DatasetRef

ORIGINS_SCHEMA = pa.schema([("source_file", pa.string()), ("line", pa.int64())])
"""Where each example stood, in the order of the examples; a file of its own beside them."""
INGESTED = Path("data/ingested")
QUARANTINE = Path("data/quarantine/ingest")
_HEAD_ROWS = 1_000
_BATCH_CHARACTERS = 32_000_000

Progress = Callable[[int], None]
"""Called with the rows done so far."""


def ignore_progress(n_rows: int, /) -> None:
    """Tell nobody."""


@dataclass
class _Ingested:
    """What one run has seen so far."""

    quarantine: Quarantine = field(default_factory=Quarantine)
    sources: list[dict[str, Any]] = field(default_factory=list)
    rejected_by: dict[str, Counter[str]] = field(
        default_factory=lambda: {"label": Counter(), "source": Counter(), "domain": Counter()}
    )
    unparsed_timestamps: list[str] = field(default_factory=list)
    n_unparsed_timestamps: int = 0
    repaired: list[str] = field(default_factory=list)
    n_repaired: int = 0
    n_kept: int = 0

    def report(self) -> str:
        """Return the counts as JSON."""
        content = {
            "sources": self.sources,
            "n_kept": self.n_kept,
            "n_rejected": self.quarantine.n_rows,
            "rejected": self.quarantine.counts,
            "rejected_by": self.rejected_by,
            "unparsed_timestamps": self.n_unparsed_timestamps,
            "unparsed_timestamp_examples": self.unparsed_timestamps,
            "repaired": self.n_repaired,
            "repaired_examples": self.repaired,
        }
        return json.dumps(content, indent=2, sort_keys=True)


def ingest(
    params: IngestParams,
    root: Path,
    *,
    problem: str = "text_classification",
    progress: Progress = ignore_progress,
) -> DatasetRef:
    """Return the examples read from all sources.

    Parameters
    ----------
    params : IngestParams
        Sources, column mapping, limits.
    root : Path
        The workspace; ``data/ingested`` and ``data/quarantine/ingest`` are written below it.
    problem : str
        Decides which columns make an example.
    progress : callable
        Called with the number of examples written so far.

    Raises
    ------
    DataError
        If a source is missing, empty, corrupt or lacks a mapped column.
    """
    remove_partial_files(root / INGESTED.parent)
    remove_partial_files(root / QUARANTINE.parent)
    seen = _Ingested()
    with atomic_directory(root / INGESTED) as directory:
        _write_examples(directory, params, root, get_problem(problem), seen, progress)
        (directory / "report.json").write_text(seen.report(), encoding="utf-8")
        seen.quarantine.write(root / QUARANTINE)
    path = root / INGESTED / "examples.parquet"
    digest = file_digest(path, "md5")
    return DatasetRef(
        name="ingested", split="all", path=path, digest=digest, n_examples=seen.n_kept
    )


def _write_examples(
    directory: Path,
    params: IngestParams,
    root: Path,
    problem: Problem,
    seen: _Ingested,
    progress: Progress,
) -> None:
    """Write examples and, row by row beside them, their origins."""
    with (
        pq.ParquetWriter(directory / "examples.parquet", EXAMPLES_SCHEMA) as examples,
        pq.ParquetWriter(directory / "origins.parquet", ORIGINS_SCHEMA) as origins,
    ):
        for source in params.sources:
            for batch in _batches(
                _examples(source, params, root, problem, seen), params.batch_rows
            ):
                content = [example for _, example in batch]
                where = [{"source_file": source.path, "line": line} for line, _ in batch]
                examples.write_table(pa.Table.from_pylist(content, schema=EXAMPLES_SCHEMA))
                origins.write_table(pa.Table.from_pylist(where, schema=ORIGINS_SCHEMA))
                seen.n_kept += len(batch)
                progress(seen.n_kept)


def _batches(
    rows: Iterator[tuple[int, dict[str, Any]]], batch_rows: int
) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    """Yield lists of so many rows, of fewer where the rows are long."""
    batch: list[tuple[int, dict[str, Any]]] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += sum(len(row[1][name] or "") for name in ("text", "text_pair", "target"))
        if len(batch) >= batch_rows or size >= _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _examples(
    source: SourceParams, params: IngestParams, root: Path, problem: Problem, seen: _Ingested
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield line and example of each row of one source; what is none goes to quarantine."""
    reader = RowReader(root / source.path, source.format, params.max_line_bytes)
    columns = {k: v for k, v in params.columns.model_dump().items() if v is not None}
    for row in _with_columns(reader, source, list(columns.values())):
        example: dict[str, Any] | RejectedRow = (
            _example(row, source, columns, problem, seen) if isinstance(row, RawRow) else row
        )
        if isinstance(example, RejectedRow):
            _set_aside(seen, source, columns, example)
        else:
            yield row.line, example
    seen.sources.append({"path": source.path, "role": source.role, "rows": reader.n_rows})


def _with_columns(
    reader: RowReader, source: SourceParams, wanted: list[str]
) -> Iterator[RawRow | RejectedRow]:
    """Yield the rows of a source that has the mapped columns.

    Formats with a header are judged by it. Where each row names its own fields, one that is null
    may be left out: there a column is missing if no row has it; the text, which a file has almost
    everywhere, if none of the first 1,000 rows has it.
    """
    path, missing, names = Path(source.path), set(wanted), dict[str, None]()
    for number, row in enumerate(reader, start=1):
        if missing and isinstance(row, RawRow):
            missing -= row.fields.keys()
            names.update(dict.fromkeys(row.fields) if number <= _HEAD_ROWS else {})
            if missing and not reader.names_vary:
                require_columns(path, names, wanted)
        if number == _HEAD_ROWS and names and wanted[0] in missing:
            require_columns(path, names, wanted)
        yield row
    if missing and names:
        require_columns(path, names, [name for name in wanted if name in missing])


def _set_aside(
    seen: _Ingested, source: SourceParams, columns: dict[str, str], row: RejectedRow
) -> None:
    seen.quarantine.add(
        row.reason,
        example_id=row_name(source, row.line),
        detail=row.detail,
        source_file=source.path,
        line=row.line,
        text=row.excerpt,
        label=row.label,
    )
    # Where a column tells source or domain, those of an unreadable row are unknown.
    known = {
        "label": row.label,
        "source": None if "source" in columns else Path(source.path).name,
        "domain": None if "domain" in columns else source.domain,
    }
    for name, value in known.items():
        if value is not None:
            seen.rejected_by[name][value] += 1


def _example(
    row: RawRow, source: SourceParams, columns: dict[str, str], problem: Problem, seen: _Ingested
) -> dict[str, Any] | RejectedRow:
    label = None
    try:
        label = read_label(row, columns)
        example, content = read_example(row, source, columns, problem)
    except NotAValueError as error:
        return RejectedRow(row.line, error.reason, error.detail, error.excerpt, label)
    written = value_of(row, columns, "timestamp")
    where = f"{source.path}:{row.line}"
    if written is not None and written != "" and example["timestamp"] is None:
        seen.n_unparsed_timestamps += 1
        _show(seen.unparsed_timestamps, f"{where}: {str(written)[:50]!r}")
    if content.repaired:
        seen.n_repaired += 1
        _show(seen.repaired, where)
    return example


def _show(examples: list[str], where: str) -> None:
    """Keep as many examples as any report shows."""
    if len(examples) < 5:  # noqa: PLR2004
        examples.append(where)
