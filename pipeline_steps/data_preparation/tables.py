"""Rows of Parquet files and of directories written by ``datasets.Dataset.save_to_disk``.

A column that was declared ``ClassLabel``, or a list of them, holds numbers; its names, which the
file carries, are what is read. A negative number means that there is no label.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline_steps.data_preparation.raw_rows import RawRow, RejectedRow
from pipeline_steps.errors import DataError

_BATCH_ROWS = 10_000


def parquet_rows(path: Path) -> Iterator[RawRow | RejectedRow]:
    """Yield the rows of a Parquet file, numbered from 1."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        names = _declared_names(file.schema_arrow.metadata or {})
        yield from _rows(file.iter_batches(batch_size=_BATCH_ROWS), names)


def dataset_rows(path: Path) -> Iterator[RawRow | RejectedRow]:
    """Yield the rows of a directory written by ``save_to_disk``, numbered from 1.

    Raises
    ------
    DataError
        If it is no such directory, or holds several splits.
    """
    from datasets import ClassLabel, Dataset, load_from_disk

    if not any((path / name).exists() for name in ("state.json", "dataset_dict.json")):
        raise DataError(
            f"{path} was not written by datasets' save_to_disk",
            expected="a directory with state.json",
            fix="save it with Dataset.save_to_disk, or name a file inside it in params.yaml",
        )
    dataset = load_from_disk(str(path))
    if not isinstance(dataset, Dataset):
        raise DataError(
            f"{path} holds several splits: {', '.join(dataset)}",
            expected="one split a source",
            fix=f"name the directory of one, for example {path / next(iter(dataset))}",
        )
    inner = {n: getattr(f, "feature", f) for n, f in dataset.features.items()}
    names = {n: f.names for n, f in inner.items() if isinstance(f, ClassLabel)}
    yield from _rows(dataset.with_format("arrow").iter(batch_size=_BATCH_ROWS), names)


def _declared_names(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """Return the names of ``ClassLabel`` columns from the note that ``datasets`` leaves."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        inner = {n: f.get("feature", f) for n, f in features.items()}
        return {n: f["names"] for n, f in inner.items() if f.get("_type") == "ClassLabel"}
    except (KeyError, TypeError, AttributeError, ValueError):
        return {}


def _rows(
    batches: Iterable[pa.RecordBatch | pa.Table], names: Mapping[str, Sequence[str]]
) -> Iterator[RawRow | RejectedRow]:
    number = 0
    for batch in batches:
        for row in _read_batch(batch, number):
            if isinstance(row, RawRow):
                for column, of_column in names.items():
                    row.fields[column] = _name(row.fields[column], of_column)
            yield row
        number += batch.num_rows


def _read_batch(batch: Any, start: int) -> Iterator[RawRow | RejectedRow]:
    """Yield the rows of a batch; Parquet does not promise that its strings are UTF-8."""
    try:
        content = batch.to_pylist()
    except UnicodeDecodeError:
        for position in range(batch.num_rows):
            yield _read_row(batch.slice(position, 1), start + position + 1)
        return
    for number, fields in enumerate(content, start=start + 1):
        yield RawRow(number, fields)


def _read_row(row: Any, number: int) -> RawRow | RejectedRow:
    try:
        return RawRow(number, row.to_pylist()[0])
    except UnicodeDecodeError as error:
        excerpt = error.object[:200].decode("utf-8", errors="replace")
        return RejectedRow(number, "not_utf8", str(error), excerpt)


def _name(value: Any, names: Sequence[str]) -> Any:
    if isinstance(value, list):
        return [_name(item, names) for item in value]
    if not isinstance(value, int):
        return value
    return names[value] if 0 <= value < len(names) else None
