"""What the processors of this machine have used, as the kernel counts it (RAPL)."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_POWERCAP = Path("/sys/class/powercap")
_MICRO = 1e-6


class Counter(NamedTuple):
    """Microjoules of one processor since some moment, and where its counter begins anew."""

    used: int
    wraps_at: int


def read_counters(powercap: Path = _POWERCAP) -> dict[str, Counter]:
    """Return the counter of each processor; none where the machine has none that we may read.

    Parts of a processor (cores, memory controller) are in its own counter and not read again. On
    many systems only root may read them; virtual machines rarely have any.
    """
    found = {}
    for directory in sorted(powercap.glob("intel-rapl:*")):
        if directory.name.count(":") == 1:
            with suppress(OSError, ValueError):
                values = [
                    int((directory / name).read_text(encoding="ascii"))
                    for name in ("energy_uj", "max_energy_range_uj")
                ]
                found[directory.name] = Counter(*values)
    return found


def joules_between(before: dict[str, Counter], after: dict[str, Counter]) -> float | None:
    """Return the joules of all processors between two readings; ``None`` where there were none.

    A counter that began anew in between is taken to have done so once: it does so after hours.
    """
    if not before or before.keys() != after.keys():
        return None
    used = 0
    for name, start in before.items():
        end = after[name].used
        used += end - start.used + (start.wraps_at if end < start.used else 0)
    return used * _MICRO
