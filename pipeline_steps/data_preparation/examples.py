"""A raw row as an example: the columns of every examples file, filled as a problem reads them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline_steps.data_params import SourceParams
from pipeline_steps.data_preparation.raw_rows import RawRow
from pipeline_steps.fields import as_name, as_timestamp, missing_as_none
from pipeline_steps.problems.problem import Content, Problem

EXAMPLES_SCHEMA = pa.schema(
    [
        ("example_id", pa.string()),
        ("text", pa.string()),
        ("text_pair", pa.string()),
        ("label", pa.string()),
        ("target", pa.string()),
        ("source", pa.string()),
        ("domain", pa.string()),
        ("timestamp", pa.timestamp("us", tz="UTC")),
        ("group", pa.string()),
        ("role", pa.string()),
    ]
)


def read_example(
    row: RawRow, source: SourceParams, columns: Mapping[str, str], problem: Problem
) -> tuple[dict[str, Any], Content]:
    """Return the example that a raw row is, and what the problem read of it.

    Parameters
    ----------
    row : RawRow
        The row.
    source : SourceParams
        Where it stood; names it where it has no id of its own.
    columns : mapping
        Field of ``ingest.columns`` -> column of the file.
    problem : Problem
        Reads texts and target.

    Raises
    ------
    NotAValueError
        If a field cannot be what it is meant to be.
    """
    label = read_label(row, columns)
    content = problem.read(lambda name: value_of(row, columns, name))
    name = value_of(row, columns, "id")
    example = {
        "example_id": as_name("id", name) or row_name(source, row.line),
        "text": content.text,
        "text_pair": content.text_pair,
        "label": label,
        "target": content.target,
        "source": _name(row, columns, "source") or Path(source.path).name,
        "domain": _name(row, columns, "domain") or source.domain,
        "timestamp": as_timestamp(value_of(row, columns, "timestamp")),
        "group": _name(row, columns, "group"),
        "role": source.role,
    }
    return example, content


def value_of(row: RawRow, columns: Mapping[str, str], name: str) -> Any:
    """Return what stands in the column of a field; ``None``: nothing, or there is no column."""
    return missing_as_none(row.fields.get(columns[name])) if name in columns else None


def read_label(row: RawRow, columns: Mapping[str, str]) -> str | None:
    """Return the label of a raw row.

    Raises
    ------
    NotAValueError
        If it is no name.
    """
    return as_name("label", value_of(row, columns, "label"), strip=True)


def row_name(source: SourceParams, line: int) -> str:
    """Return the id of a row that has none: two sources may share a name, but not a path."""
    path = Path(source.path)
    return f"{path.name if path.is_absolute() else path.as_posix()}:{line}"


def _name(row: RawRow, columns: Mapping[str, str], field: str) -> str | None:
    return as_name(field, value_of(row, columns, field))
