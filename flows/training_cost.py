"""What a training cost: CPU and wall seconds, energy; several parts where it was interrupted."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.energy_counters import joules_between, read_counters
from pipeline_steps.files import write_text_atomically
from pipeline_steps.types import Value


class TrainingCost(Value):
    """CPU seconds of this process and its children, wall seconds, parts that were added up.

    A part that was killed outright could not be counted. ``joules`` is what the processors counted,
    with all else that ran on them; ``None`` where a part had no counter to read.
    """

    cpu_seconds: float
    wall_seconds: float
    parts: int
    joules: float | None = None


@contextmanager
def measured(path: Path) -> Iterator[None]:
    """Add what the block takes to the file, also if it is interrupted."""
    cpu, wall, counters = _cpu_seconds(), time.monotonic(), read_counters()
    try:
        yield
    finally:
        nothing = TrainingCost(cpu_seconds=0, wall_seconds=0, parts=0, joules=0.0)
        earlier, joules = read_cost(path) or nothing, joules_between(counters, read_counters())
        cost = TrainingCost(
            cpu_seconds=round(earlier.cpu_seconds + _cpu_seconds() - cpu, 2),
            wall_seconds=round(earlier.wall_seconds + time.monotonic() - wall, 2),
            parts=earlier.parts + 1,
            joules=_sum(earlier.joules, joules),
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(path, cost.model_dump_json())


def read_cost(path: Path) -> TrainingCost | None:
    """Return what was measured, or ``None`` where nothing was."""
    if not path.exists():
        return None
    return TrainingCost.model_validate(json.loads(path.read_text(encoding="utf-8")))


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _cpu_seconds() -> float:
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in found)
