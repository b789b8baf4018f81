"""Progress is shown on a terminal, and nowhere else."""

from __future__ import annotations

import io
from contextlib import suppress

from pipeline_steps.data_preparation.progress import row_counter


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_the_rows_and_is_cleared_at_the_end() -> None:
    terminal = Terminal()
    with suppress(KeyboardInterrupt), row_counter("ingest", terminal) as progress:
        progress(50_000)
        raise KeyboardInterrupt
    assert "ingest: 50,000 rows" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_a_log_shows_nothing() -> None:
    log = io.StringIO()
    with row_counter("ingest", log) as progress:
        progress(50_000)
    assert log.getvalue() == ""
