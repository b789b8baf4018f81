"""Raw files as a stream of rows: what cannot be read as a row is set aside with a reason.

A whole file that cannot be read (missing, empty, corrupt, without the mapped columns) is an error.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from pipeline_steps.errors import DataError

_ENDINGS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".conll": "conll",
}
_EXCERPT = 200


@dataclass(frozen=True)
class RawRow:
    """One row of a raw file: where it stood, and its fields by name."""

    line: int
    fields: dict[str, Any]


@dataclass(frozen=True)
class RejectedRow:
    """One row that could not be read, and why."""

    line: int
    reason: str
    detail: str
    excerpt: str


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
        read = {
            "csv": self._csv_rows,
            "tsv": self._csv_rows,
            "jsonl": self._jsonl_rows,
            "parquet": self._parquet_rows,
            "conll": self._conll_rows,
            "hf_datasets": self._datasets_rows,
        }[self.kind]
        with _readable(self.path):
            for row in read():
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
        suffixes = [suffix for suffix in self.path.suffixes if suffix != ".gz"]
        ending = suffixes[-1].lower() if suffixes else ""
        if ending in _ENDINGS:
            return _ENDINGS[ending]
        raise DataError(
            f"the format of {self.path} is unknown (ending {ending or 'none'})",
            expected=f"one of {', '.join(_ENDINGS)} (also .gz), or a datasets directory",
            fix="set `format` of this source in params.yaml",
        )

    def column_names(self) -> list[str]:
        """Return the names of the fields in the first readable row."""
        first = next((row for row in self if isinstance(row, RawRow)), None)
        return [] if first is None else list(first.fields)

    def _lines(self) -> Iterator[tuple[int, str | RejectedRow]]:
        """Yield line numbers with decoded lines, or with the reason why there is none."""
        opener = gzip.open if self.path.suffix == ".gz" else open
        with opener(self.path, "rb") as file:
            number = 0
            while line := _bounded_line(file, self.max_line_bytes):  # type: ignore[arg-type]
                number += 1
                if len(line) > self.max_line_bytes:
                    detail = f"longer than {self.max_line_bytes} bytes"
                    yield number, RejectedRow(number, "line_too_long", detail, _excerpt(line))
                    continue
                try:
                    yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    yield number, RejectedRow(number, "not_utf8", str(error), _excerpt(line))

    def _jsonl_rows(self) -> Iterator[RawRow | RejectedRow]:
        for number, line in self._lines():
            if isinstance(line, RejectedRow):
                yield line
            elif line.strip():
                yield _json_row(number, line)

    def _csv_rows(self) -> Iterator[RawRow | RejectedRow]:
        rejected: list[RejectedRow] = []
        delimiter = "\t" if self.kind == "tsv" else ","
        csv.field_size_limit(max(self.max_line_bytes, 131_072))
        reader = csv.reader(_only_text(self._lines(), rejected), delimiter=delimiter)
        header = next(reader, None)
        for fields in reader:
            yield from rejected
            rejected.clear()
            if header is None or not fields:
                continue
            if len(fields) != len(header):
                detail = f"{len(fields)} fields where the header has {len(header)}"
                excerpt = delimiter.join(fields)[:_EXCERPT]
                yield RejectedRow(reader.line_num, "wrong_number_of_fields", detail, excerpt)
            else:
                values = {n: v or None for n, v in zip(header, fields, strict=True)}
                yield RawRow(reader.line_num, values)
        yield from rejected

    def _conll_rows(self) -> Iterator[RawRow | RejectedRow]:
        """Yield one row a sentence: text, tokens, tags and its ``# key = value`` lines."""
        tokens: list[list[str]] = []
        comments: dict[str, str] = {}
        start = 1
        for number, line in self._lines():
            if isinstance(line, RejectedRow):
                yield line
            elif line.startswith("#"):
                name, _, value = line[1:].partition("=")
                comments[name.strip()] = value.strip()
            elif line.strip():
                start = start if tokens else number
                tokens.append(line.split())
            elif tokens:
                yield RawRow(start, _sentence(tokens, comments))
                tokens, comments = [], {}
        if tokens:
            yield RawRow(start, _sentence(tokens, comments))

    def _parquet_rows(self) -> Iterator[RawRow]:
        import pyarrow.parquet as pq

        number = 0
        for batch in pq.ParquetFile(self.path).iter_batches(batch_size=10_000):
            for fields in batch.to_pylist():
                number += 1
                yield RawRow(number, fields)

    def _datasets_rows(self) -> Iterator[RawRow]:
        from datasets import Dataset, load_from_disk

        dataset = load_from_disk(str(self.path))
        if not isinstance(dataset, Dataset):
            raise DataError(
                f"{self.path} holds several splits: {', '.join(dataset)}",
                expected="one split a source",
                fix=f"name a split in params.yaml, for example {self.path / next(iter(dataset))}",
            )
        for number, fields in enumerate(dataset, start=1):
            yield RawRow(number, dict(fields))


def require_columns(path: Path, present: Iterable[str], wanted: Iterable[str]) -> None:
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
            fix="set ingest.columns in params.yaml to the names in this file",
        )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a whole file into an error that names it."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError as error:
        raise DataError(
            f"there is no {path}",
            expected="an existing file or directory",
            fix="put it there, or mend ingest.sources in params.yaml",
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile, pa.ArrowInvalid) as error:
        raise DataError(
            f"{path} is corrupt or truncated: {error}",
            expected="a whole file",
            fix="copy or export it again",
        ) from error


def _bounded_line(file: IO[bytes], limit: int) -> bytes:
    """Return the next line; of a longer one, the first ``limit + 1`` bytes, the rest skipped."""
    line = file.readline(limit + 1)
    rest = line
    while len(rest) > limit and not rest.endswith(b"\n"):
        rest = file.readline(limit + 1)
    return line


def _only_text(
    lines: Iterable[tuple[int, str | RejectedRow]], rejected: list[RejectedRow]
) -> Iterator[str]:
    for _, line in lines:
        if isinstance(line, RejectedRow):
            rejected.append(line)
        else:
            yield line


def _json_row(number: int, line: str) -> RawRow | RejectedRow:
    try:
        fields = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        return RejectedRow(number, "malformed_json", str(error), line[:_EXCERPT])
    if not isinstance(fields, dict):
        detail = f"a {type(fields).__name__} where an object was expected"
        return RejectedRow(number, "malformed_json", detail, line[:_EXCERPT])
    return RawRow(number, fields)


def _sentence(tokens: list[list[str]], comments: dict[str, str]) -> dict[str, Any]:
    words = [token[0] for token in tokens]
    tags = [token[-1] for token in tokens]
    return {"text": " ".join(words), "tokens": words, "tags": tags, **comments}


def _excerpt(line: bytes) -> str:
    return line[:_EXCERPT].decode("utf-8", errors="replace")
