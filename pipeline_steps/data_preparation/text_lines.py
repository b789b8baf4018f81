"""The lines of a text file, numbered, decoded and bounded; a line that is no text says why."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TypeAlias, cast

from pipeline_steps.data_preparation.raw_rows import EXCERPT_CHARACTERS, RejectedRow
from pipeline_steps.errors import DataError

NumberedLine: TypeAlias = tuple[int, "str | RejectedRow"]

# The longer marks stand first: that of UTF-32 begins with that of UTF-16.
_BYTE_ORDER_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


def numbered_lines(path: Path, max_line_bytes: int) -> Iterator[NumberedLine]:
    """Yield line numbers, from 1, with decoded lines, or with the reason why there is none.

    Parameters
    ----------
    path : Path
        Text in UTF-8, with or without byte order mark; decompressed where it ends in ``.gz``.
    max_line_bytes : int
        Bytes; of a longer line no more than this is ever held.

    Raises
    ------
    DataError
        If the file begins with the byte order mark of another encoding.
    """
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    with opener(path, "rb") as opened:
        file, number = cast("IO[bytes]", opened), 0
        while line := _bounded_line(file, max_line_bytes):
            number += 1
            if number == 1:
                _refuse_other_encodings(path, line)
            yield number, _decoded(number, line, max_line_bytes)


def _bounded_line(file: IO[bytes], limit: int) -> bytes:
    """Return the next line; of a longer one, the first ``limit + 1`` bytes, the rest skipped."""
    line = file.readline(limit + 1)
    rest = line
    while len(rest) > limit and not rest.endswith(b"\n"):
        rest = file.readline(limit + 1)
    return line


def _refuse_other_encodings(path: Path, line: bytes) -> None:
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if line.startswith(mark):
            raise DataError(
                f"{path} is written in {encoding}",
                expected="text in UTF-8",
                fix=f"convert it, for example: iconv -f {encoding} -t UTF-8 {path.name}",
            )


def _decoded(number: int, line: bytes, limit: int) -> str | RejectedRow:
    excerpt = line[:EXCERPT_CHARACTERS].decode("utf-8", errors="replace")
    if len(line) > limit:
        return RejectedRow(number, "line_too_long", f"longer than {limit} bytes", excerpt)
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        return RejectedRow(number, "not_utf8", str(error), excerpt)
