"""Raw files as a stream of rows: what cannot be read as a row is set aside with a reason.

A whole file that cannot be read (missing, empty, corrupt, without the mapped columns) is an error.
"""

from __future__ import annotations

import difflib
import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline_steps.data_preparation.conll import sentences
from pipeline_steps.data_preparation.delimited import DelimitedRows
from pipeline_steps.data_preparation.raw_rows import EXCERPT_CHARACTERS, RawRow, RejectedRow
from pipeline_steps.data_preparation.tables import dataset_rows, parquet_rows
from pipeline_steps.data_preparation.text_lines import NumberedLine, numbered_lines
from pipeline_steps.errors import DataError

__all__ = ["RawRow", "RejectedRow", "RowReader", "require_columns"]

_MAP_COLUMNS = "set ingest.columns in params.yaml to the names in this file"
_ENDINGS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".conll": "conll",
}

_CONVERSIONS = {
    ".json": "rename it to .jsonl if each line is an object; of a list make lines: python -c "
    "\"import json; [print(json.dumps(row)) for row in json.load(open('{name}'))]\" > rows.jsonl",
    ".txt": "rename it: .conll if it has a token and its tag on a line, .csv or .tsv if its first "
    "line names columns",
}
"""What helps with endings that are common, and do not say what is in the file."""


@dataclass
class RowReader:
    """Reads one raw file or directory, row by row, in bounded memory."""

    path: Path
    format: str | None = None
    max_line_bytes: int = 1_000_000
    n_rows: int = field(default=0, init=False)

    def __iter__(self) -> Iterator[RawRow | RejectedRow]:
        """Yield every row.

        Raises
        ------
        DataError
            If the file is missing, empty, corrupt or of unknown format.
        """
        with _readable(self.path):
            for row in self._rows():
                self.n_rows += 1
                yield row
        if not self.n_rows:
            raise DataError(
                f"{self.path} holds no rows",
                expected="at least one row of data",
                fix="check that the export was complete, or remove the source from params.yaml",
            )

    @property
    def kind(self) -> str:
        """The declared format, or the one that the file's ending says."""
        if self.format:
            return self.format
        if self.path.is_dir():
            return "hf_datasets"
        suffixes = [suffix for suffix in self.path.suffixes if suffix.lower() != ".gz"]
        ending = suffixes[-1].lower() if suffixes else ""
        if ending in _ENDINGS:
            return _ENDINGS[ending]
        raise DataError(
            f"the format of {self.path} is unknown (ending {ending or 'none'})",
            expected=f"one of {', '.join(_ENDINGS)} (text also .gz), or a datasets directory",
            fix=_CONVERSIONS.get(ending, "set `format` of this source in params.yaml").format(
                name=self.path.name
            ),
        )

    @property
    def names_vary(self) -> bool:
        """Whether each row names its own fields, so that one may lack what another has."""
        return self.kind in ("jsonl", "conll")

    def column_names(self) -> list[str]:
        """Return the names of the fields in the first readable row."""
        first = next((row for row in self if isinstance(row, RawRow)), None)
        return [] if first is None else list(first.fields)

    def _rows(self) -> Iterator[RawRow | RejectedRow]:
        kind = self.kind
        if kind == "parquet":
            return parquet_rows(self.path)
        if kind == "hf_datasets":
            return dataset_rows(self.path)
        lines = numbered_lines(self.path, self.max_line_bytes)
        if kind == "jsonl":
            return _json_rows(lines)
        if kind == "conll":
            return sentences(lines, self.max_line_bytes)
        delimiter = "\t" if kind == "tsv" else ","
        return iter(DelimitedRows(self.path, lines, delimiter, self.max_line_bytes))


def require_columns(
    path: Path, present: Iterable[str], wanted: Iterable[str], *, fix: str = _MAP_COLUMNS
) -> None:
    """Check that every mapped column is there.

    Raises
    ------
    DataError
        Naming the missing columns, those that exist and the nearest spelling.
    """
    names = list(present)
    missing = [name for name in wanted if name not in names]
    if missing:
        near = difflib.get_close_matches(missing[0], names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise DataError(
            f"{path} has no column {', '.join(map(repr, missing))}{hint}",
            expected=f"columns among {', '.join(map(repr, names))}",
            fix=fix,
        )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a whole file into an error that names it."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError as error:
        raise DataError(
            f"there is no {error.filename or path}",
            expected="an existing file or directory",
            fix="put it there, or mend ingest.sources in params.yaml",
        ) from error
    except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}",
            expected="a file (or a datasets directory) that this user may read",
            fix="mend its permissions, or path and format of the source in params.yaml",
        ) from error
    # Arrow raises OSError for pages that do not decompress, ValueError's children for the rest.
    except (EOFError, zlib.error, OSError, pa.ArrowException, json.JSONDecodeError) as error:
        raise DataError(
            f"{path} is corrupt or truncated: {error}",
            expected="a whole file",
            fix="copy or export it again",
        ) from error


def _json_rows(lines: Iterable[NumberedLine]) -> Iterator[RawRow | RejectedRow]:
    for number, line in lines:
        if isinstance(line, RejectedRow):
            yield line
        elif line.strip():
            yield _json_row(number, line)


def _json_row(number: int, line: str) -> RawRow | RejectedRow:
    excerpt = line[:EXCERPT_CHARACTERS]
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of 5,000 digits
        return RejectedRow(number, "malformed_json", str(error), excerpt)
    if not isinstance(fields, dict):
        detail = f"a {type(fields).__name__} where an object was expected"
        return RejectedRow(number, "malformed_json", detail, excerpt)
    if "\\u" in line and not _is_unicode(fields):
        detail = "an escape that is half of a surrogate pair"
        return RejectedRow(number, "not_utf8", detail, excerpt)
    return RawRow(number, fields)


def _is_unicode(value: Any) -> bool:
    """Return whether all strings in a JSON value can be written as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
