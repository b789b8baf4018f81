"""Two workers that have drawn the same values do not train in one directory."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from flows.tuning_locks import alone_at, if_nobody_is_at

KEY, OTHER = "a" * 64, "b" * 64


def test_the_second_worker_waits_for_the_first(tmp_path: Path) -> None:
    done: list[str] = []

    def second() -> None:
        with alone_at(tmp_path, KEY):
            done.append("second")

    waiting = threading.Thread(target=second)
    with alone_at(tmp_path, KEY):
        waiting.start()
        time.sleep(0.2)
        done.append("first")
    waiting.join(timeout=10)
    assert done == ["first", "second"]


def test_what_a_worker_is_at_is_not_free_and_all_else_is(tmp_path: Path) -> None:
    with (
        alone_at(tmp_path, KEY),
        if_nobody_is_at(tmp_path, KEY) as mine,
        if_nobody_is_at(tmp_path, OTHER) as other,
    ):
        assert (mine, other) == (False, True)
    with if_nobody_is_at(tmp_path, KEY) as mine:
        assert mine
