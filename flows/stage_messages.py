"""What DVC and its stages say: kept for an error, and shown as progress on a terminal."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

_CLEAR = "\r\x1b[K"
_COUNTED = re.compile(r"\x1b\[K([\w-]+: [\d,]+ rows?)")
_BEGUN = re.compile(r"Running stage '([\w-]+)'")
_ENDED = re.compile(r"[\w-]+: \S.*")
_LINES_KEPT = 400


def follow(lines: Iterable[str]) -> str:
    """Return what was said, without row counts, after all of it has been said.

    On a terminal, standard error shows which stage runs, how many rows it has read, and a line for
    each stage that has ended.
    """
    shows = sys.stderr.isatty()
    kept: list[str] = []
    for line in lines:
        if not (_COUNTED.search(line) or line in ("\n", _CLEAR[1:] + "\n")):
            kept = [*kept[-_LINES_KEPT:], line.removeprefix(_CLEAR[1:])]
        if shows:
            sys.stderr.write(_as_shown(line.strip()))
            sys.stderr.flush()
    if shows:
        sys.stderr.write(_CLEAR)
    return "".join(kept)


def _as_shown(line: str) -> str:
    counted, begun = _COUNTED.search(line), _BEGUN.match(line)
    if counted:
        return f"{_CLEAR}  {counted[1]}"
    if begun:
        return f"{_CLEAR}  {begun[1]} ..."
    ended = _ENDED.fullmatch(line.removeprefix(_CLEAR[1:]))
    return f"{_CLEAR}  {ended[0]}\n" if ended else ""
