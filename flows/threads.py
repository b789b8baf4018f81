"""How the threads of torch wait for each other, and how many a service has; no torch here."""

from __future__ import annotations

import math
import os
from pathlib import Path

_SHARED = 0.5


def wait_policy(load: float) -> dict[str, str]:
    """Return the environment that lets OpenMP's threads wait as the machine's load asks for.

    A thread that waits for others spins by default. Alone on its cores that is up to twice as fast
    as sleeping; where another process wants a core, it is up to nine times slower.

    Parameters
    ----------
    load : float
        Processes that ran or waited to run over the last minute, this one apart.

    Examples
    --------
    >>> wait_policy(0.1), wait_policy(1.8)
    ({}, {'OMP_WAIT_POLICY': 'passive'})
    """
    return {"OMP_WAIT_POLICY": "passive"} if load >= _SHARED else {}


def scoring_threads(cores: int, workers: int) -> int:
    """Return how many threads a worker scores with: its share of the cores less one.

    The one is for what reads requests and writes answers and the log. Where it has to fight for a
    core, torch's threads wait for each other, and all of them for it.

    Examples
    --------
    >>> [scoring_threads(cores, workers) for cores, workers in ((1, 1), (2, 1), (8, 1), (8, 2))]
    [1, 1, 7, 3]
    """
    return max(1, cores // workers - 1)


def usable_cores(control_groups: Path = Path("/sys/fs/cgroup"), own: str | None = None) -> int:
    """Return how many cores this process may use: by its affinity, and by a container's quota.

    Parameters
    ----------
    control_groups : Path
        Where Linux shows control groups (version 2).
    own : str or None
        The group of this process below that; ``None``: as the kernel says.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    group = control_groups / (_own_group() if own is None else own)
    above = [group, *group.parents][: len(group.parts) - len(control_groups.parts) + 1]
    quotas = [quota for quota in (_quota(level / "cpu.max") for level in above) if quota]
    return max(1, min([allowed or 1, *map(math.ceil, quotas)]))


def _own_group() -> str:
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line[3:].strip("/") for line in lines if line.startswith("0::")), "")


def _quota(file: Path) -> float | None:
    """Return the cores' worth of time that a group gets, ``None`` where nothing bounds it."""
    try:
        most, period = file.read_text(encoding="utf-8").split()
        return float(most) / float(period)
    except (OSError, ValueError):  # no such file (the root has none), or "max"
        return None
