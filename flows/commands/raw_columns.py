"""Which columns a user's raw files have, and which of them hold what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from pipeline_steps.data_preparation.readers import RawRow, RowReader, require_columns
from pipeline_steps.errors import DataError
from pipeline_steps.params import ColumnsParams

_TEXT_NAMES = (
    *("text", "sentence", "utterance", "query", "message", "content", "question"),
    *("review", "comment", "body", "title", "description", "input"),
)
_LABEL_NAMES = (
    *("label", "labels", "intent", "category", "class", "target", "sentiment", "topic"),
    *("label_text", "tag", "output", "y"),
)
_HEAD_ROWS = 100


def find_columns(files: Sequence[Path], asked: Mapping[str, str | None]) -> ColumnsParams:
    """Return where text, label and the rest stand, the same for all files.

    Parameters
    ----------
    files : sequence of Path
        Raw files; the first one decides where a name has to be guessed.
    asked : mapping
        Field of :class:`ColumnsParams` -> column; text and label are guessed where ``None``.

    Raises
    ------
    DataError
        If a file cannot be read, lacks a column, or a guess is not possible.
    """
    present = column_names(files[0])
    text = asked.get("text") or _guess("text", _TEXT_NAMES, present, files[0])
    label = asked.get("label") or _guess("label", _LABEL_NAMES, present, files[0])
    given = {field: column for field, column in asked.items() if column is not None}
    columns = ColumnsParams(**{**given, "text": text, "label": label})
    wanted = [column for column in columns.model_dump().values() if column is not None]
    for file in files:
        require_columns(file, column_names(file), wanted)
    return columns


def column_names(path: Path) -> list[str]:
    """Return the names of the columns (or JSON fields) in the first rows of a raw file."""
    names: dict[str, None] = {}
    for row in islice(RowReader(path), _HEAD_ROWS):
        if isinstance(row, RawRow):
            names.update(dict.fromkeys(row.fields))
    if not names:
        raise DataError(
            f"none of the first rows of {path} can be read as {RowReader(path).kind}",
            expected=f"rows of the format {RowReader(path).kind}, text in UTF-8",
            fix="mend or convert the file, then run the command again",
        )
    return list(names)


def _guess(field: str, common: Sequence[str], present: Sequence[str], file: Path) -> str:
    """Return the first of the common names that the file has, whatever its case."""
    lowered = {name.lower(): name for name in reversed(present)}
    found = next((lowered[name] for name in common if name in lowered), None)
    if found is None:
        listed = ", ".join(repr(name) for name in present)
        raise DataError(
            f"{file} has no column with a common name for the {field}; it has {listed}",
            expected=f"--{field}-column, or a column called {', '.join(common[:5])}, ...",
            fix=f"say which it is: --{field}-column NAME",
        )
    return found
