"""How far a stage is, on a terminal or where a caller asks for it: logs show nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from pipeline_steps.data_preparation.ingest import Progress, ignore_progress

_SECONDS = 0.5
_ASKED_FOR = "HOLDFAST_COUNT_ROWS"  # set by who runs the stage through DVC and reads its messages


@contextmanager
def row_counter(stage: str, stream: TextIO) -> Iterator[Progress]:
    """Yield a function that shows the rows done so far, twice a second at most.

    Parameters
    ----------
    stage : str
        Stands before the number.
    stream : TextIO
        Where it is shown, if it is a terminal or HOLDFAST_COUNT_ROWS is set; the line is cleared at
        the end.
    """
    if not (stream.isatty() or os.environ.get(_ASKED_FOR)):
        yield ignore_progress
        return
    shown_at = float("-inf")

    def show(n_rows: int, /) -> None:
        nonlocal shown_at
        if time.monotonic() - shown_at >= _SECONDS:
            shown_at = time.monotonic()
            stream.write(f"\r\x1b[K{stage}: {n_rows:,} row{'s' * (n_rows != 1)}")
            stream.flush()

    try:
        yield show
    finally:
        stream.write("\r\x1b[K")
        stream.flush()
