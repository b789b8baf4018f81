"""Says now and then how many rows are done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from flows.foreign.work import Part
from flows.pipeline import say

_EVERY = 5.0  # seconds


class RowsDone:
    """Says how far the parts are, at most every five seconds.

    Parameters
    ----------
    parts : sequence of Part
        What is to be done.
    tell : callable
        Says a line.
    clock : callable
        Returns seconds.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        tell: Callable[[str], None] = say,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.parts, self.tell, self.clock = parts, tell, clock
        self.said_at, self.n_said = clock(), 0

    def __call__(self, n_parts: int) -> None:
        """Say that so many parts are done, unless it was said, or something a moment ago."""
        if n_parts == self.n_said or self.clock() - self.said_at < _EVERY:
            return
        self.said_at, self.n_said = self.clock(), n_parts
        rows = [part.stop - part.start for part in self.parts]
        mean = sum(rows) / len(rows)  # which parts are done depends on the workers
        self.tell(f"  about {min(sum(rows), round(n_parts * mean))} of {sum(rows)} rows")
