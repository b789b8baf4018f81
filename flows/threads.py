"""How the threads of torch wait for each other; decided before torch is imported."""

from __future__ import annotations

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
