"""The columns of an examples file that a model reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_steps.errors import DataError
from pipeline_steps.predictions_file import METADATA_COLUMNS
from pipeline_steps.problems.problem import Content


@dataclass(frozen=True)
class ExampleRows:
    """n examples, column by column."""

    example_ids: list[str]
    texts: list[str]
    pairs: list[str | None]
    labels: list[str]
    targets: list[str]
    metadata: dict[str, list[str | None]]

    def __len__(self) -> int:
        return len(self.texts)

    def columns(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the metadata as the arrays that predictions carry."""
        return {name: np.array(values, dtype=object) for name, values in self.metadata.items()}


def read_examples(path: Path) -> ExampleRows:
    """Return the examples in a Parquet file.

    Raises
    ------
    DataError
        If the file is missing, truncated or lacks a column.
    """
    try:
        table = pq.read_table(path)
        return ExampleRows(
            example_ids=table["example_id"].to_pylist(),
            texts=table["text"].to_pylist(),
            pairs=table["text_pair"].to_pylist(),
            labels=table["label"].to_pylist(),
            targets=table["target"].to_pylist(),
            metadata={name: _as_strings(table[name]) for name in METADATA_COLUMNS},
        )
    except (OSError, KeyError, pa.ArrowInvalid) as error:
        raise DataError(
            f"{path} cannot be read as examples: {error}",
            expected="a Parquet file as the data stages write it",
            fix="holdfast prepare",
        ) from error


def _as_strings(column: pa.ChunkedArray) -> list[str | None]:
    values = column.to_pylist()
    return [None if value is None else as_string(value) for value in values]


def as_string(value: object) -> str:
    """Return a value of the metadata as predictions carry it; a time in ISO 8601."""
    isoformat = getattr(value, "isoformat", None)
    return str(isoformat()) if isoformat else str(value)


def rows_of(contents: Sequence[Content]) -> ExampleRows:
    """Return what was asked as examples: without labels and metadata."""
    return ExampleRows(
        example_ids=[str(number) for number in range(len(contents))],
        texts=[content.text or "" for content in contents],
        pairs=[content.text_pair for content in contents],
        labels=[""] * len(contents),
        targets=[content.target or "" for content in contents],
        metadata={},
    )
