"""Rows of comma- or tab-separated text, such that one wrong quote costs one row, not the rest.

The standard library's reader takes everything after an unclosed quote for one field. Here a record
that is not well-formed, or has the wrong number of fields, is set aside as its first line, and
reading goes on at the next line.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from pipeline_steps.data_preparation.raw_rows import EXCERPT_CHARACTERS, RawRow, RejectedRow
from pipeline_steps.data_preparation.text_lines import NumberedLine
from pipeline_steps.errors import DataError


class DelimitedRows:
    """Reads records as RFC 4180 has them; empty fields are null.

    A tab-separated line that is no well-formed quoted record is split at its tabs as it stands:
    most such files quote nothing, and a text may well begin with a quotation mark.

    Parameters
    ----------
    path : Path
        Named in errors.
    lines : iterator
        The numbered lines of the file.
    delimiter : str
        Comma or tab.
    max_record_bytes : int
        Characters in a record over several lines, at most.
    """

    def __init__(
        self, path: Path, lines: Iterator[NumberedLine], delimiter: str, max_record_bytes: int
    ) -> None:
        self._path = path
        self._lines = lines
        self._delimiter = delimiter
        self._limit = max_record_bytes
        self._pushed_back: deque[NumberedLine] = deque()
        # Process-wide, and smaller than our own limit by default.
        csv.field_size_limit(max(max_record_bytes, csv.field_size_limit()))

    def __iter__(self) -> Iterator[RawRow | RejectedRow]:
        """Yield every record below the header.

        Raises
        ------
        DataError
            If the header cannot be read or names a column twice.
        """
        header = self._header()
        while header and (numbered := self._next_line()) is not None:
            number, line = numbered
            if isinstance(line, RejectedRow):
                yield line
            elif line.rstrip("\r\n"):
                fields = self._fields(numbered, len(header))
                yield fields if isinstance(fields, RejectedRow) else _row(number, header, fields)

    def _header(self) -> list[str]:
        numbered = self._next_line()
        if numbered is None:
            return []
        _, line = numbered
        if isinstance(line, RejectedRow):
            raise self._header_error(f"a first line that is no text ({line.detail})")
        names = self._quoted(numbered)
        if isinstance(names, RejectedRow) and "\r" in line.rstrip("\r\n"):
            raise self._header_error(
                "lines that end with a carriage return alone",
                fix=f"convert it, for example: tr '\\r' '\\n' < {self._path.name} > new.csv",
            )
        if isinstance(names, RejectedRow):
            raise self._header_error(
                f"a first line that is no well-formed record ({names.detail}): {names.excerpt!r}"
            )
        twice = sorted({name for name in names if name and names.count(name) > 1})
        if twice:
            raise self._header_error(f"several columns named {', '.join(map(repr, twice))}")
        return names

    def _header_error(
        self, received: str, fix: str = "mend the first line, or export the file again"
    ) -> DataError:
        return DataError(
            f"{self._path} has {received}",
            expected="a first line that names each column once, in UTF-8",
            fix=fix,
        )

    def _next_line(self) -> NumberedLine | None:
        return self._pushed_back.popleft() if self._pushed_back else next(self._lines, None)

    def _fields(self, numbered: NumberedLine, n_fields: int) -> list[str] | RejectedRow:
        """Return the fields of the record that begins with this line, n_fields of them."""
        number, line = numbered
        assert isinstance(line, str)  # noqa: S101 - the caller has looked
        plain = line.rstrip("\r\n").split(self._delimiter)
        tabs_decide = self._delimiter == "\t" and len(plain) == n_fields
        if '"' not in line:
            fields: list[str] | RejectedRow = plain
        elif tabs_decide:
            fields = self._quoted_line(line, plain)
        else:
            fields = self._quoted(numbered, n_fields)
        if isinstance(fields, RejectedRow) or len(fields) == n_fields:
            return fields
        detail = f"{len(fields)} fields where the header has {n_fields}"
        return RejectedRow(number, "wrong_number_of_fields", detail, line[:EXCERPT_CHARACTERS])

    def _quoted_line(self, line: str, plain: list[str]) -> list[str]:
        """Return the fields of one line: unquoted if it is well-formed, as it stands if not."""
        try:
            fields = next(csv.reader([line], delimiter=self._delimiter, strict=True))
        except csv.Error:
            return plain
        return fields if len(fields) == len(plain) else plain

    def _quoted(
        self, numbered: NumberedLine, n_fields: int | None = None
    ) -> list[str] | RejectedRow:
        """Return the fields of a record over as many lines as its quotes span."""
        number, line = numbered
        taken: list[NumberedLine] = []
        record = self._record_lines(numbered, taken)
        try:
            fields = next(csv.reader(record, delimiter=self._delimiter, strict=True))
        except csv.Error as error:
            self._pushed_back.extendleft(reversed(taken))
            return RejectedRow(number, "malformed_csv", str(error), str(line)[:EXCERPT_CHARACTERS])
        if n_fields is not None and len(fields) != n_fields:
            self._pushed_back.extendleft(reversed(taken))
        return fields

    def _record_lines(self, first: NumberedLine, taken: list[NumberedLine]) -> Iterator[str]:
        """Yield the first line and, as far as they are asked for, those that follow it."""
        yield str(first[1])
        size = len(str(first[1]))
        while (following := self._next_line()) is not None:
            taken.append(following)
            size += len(following[1]) if isinstance(following[1], str) else self._limit
            if isinstance(following[1], RejectedRow) or size > self._limit:
                return
            yield following[1]


def _row(number: int, header: list[str], fields: list[str]) -> RawRow:
    return RawRow(number, {n: value or None for n, value in zip(header, fields, strict=True)})
