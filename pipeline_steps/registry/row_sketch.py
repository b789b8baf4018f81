"""How many rows two evaluation sets share, from a short sketch of each.

A set is known by the digests of its rows' inputs. Of these the smallest stand for all (bottom-k,
Cohen and Kaplan 2007): below the point up to which both sketches are complete, the share of one
set's digests that the other has too estimates the share of its rows. Sets of at most ``SIZE``
rows are compared exactly; of larger ones the standard error is at most 0.5 / sqrt(SIZE).

References
----------
Cohen and Kaplan (2007), "Summarizing data using bottom-k sketches", PODC, 225-234.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from pipeline_steps.types import Value

SIZE = 256
_DIGITS = 16
_ABOVE_ALL = "g"  # after every hexadecimal digit


class RowSketch(Value):
    """The number of different rows of a set, and the smallest of their digests, in their order."""

    n: int
    smallest: tuple[str, ...]

    @property
    def complete_below(self) -> str:
        """The first digest from which on the sketch may lack one."""
        return _ABOVE_ALL if self.n <= len(self.smallest) else self.smallest[-1] + _ABOVE_ALL


def sketch_rows(rows: Iterable[str]) -> RowSketch:
    """Return the sketch of a set, given what each row says; order and repeats do not count."""
    digests = {hashlib.sha256(row.encode("utf-8", "surrogatepass")).hexdigest() for row in rows}
    short = sorted({digest[:_DIGITS] for digest in digests})
    return RowSketch(n=len(short), smallest=tuple(short[:SIZE]))


def shared_rows(today: RowSketch, earlier: RowSketch) -> float:
    """Return the share of today's rows that the earlier set has too.

    Where an earlier set is so much larger that its sketch says nothing of today's rows, the share
    is 1: what cannot be told apart counts as the same.

    Examples
    --------
    >>> may, june = sketch_rows("abcd"), sketch_rows("abcde")
    >>> shared_rows(june, may), shared_rows(may, june), shared_rows(may, sketch_rows("xy"))
    (0.8, 1.0, 0.0)
    """
    limit = min(today.complete_below, earlier.complete_below)
    ours = {digest for digest in today.smallest if digest < limit}
    if not ours:
        return 1.0 if today.n and earlier.n else 0.0
    return len(ours & {*earlier.smallest}) / len(ours)
