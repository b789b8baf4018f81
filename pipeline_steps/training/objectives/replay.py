"""Replay: which earlier rows come again in an epoch of new ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def replay_count(n_new: int, share: float) -> int:
    """Return how many earlier rows make up ``share`` of an epoch with ``n_new`` new ones.

    Examples
    --------
    >>> replay_count(900, 0.1)
    100
    """
    return round(n_new * share / (1.0 - share))


def replay_rows(strata: Sequence[int], count: int, *, seed: int, epoch: int) -> list[int]:
    """Return the earlier rows of one epoch: a function of seed and epoch alone.

    Each stratum walks through its rows in a random order and begins anew, in another order, when
    all have had their turn: over the epochs every row of a stratum is seen equally often, give or
    take one. Each stratum gives the same number in every epoch; with the length buckets of the
    batch planner as strata, every epoch has the same number of batches, which the schedule of the
    learning rate relies on.

    Parameters
    ----------
    strata : sequence of int
        Stratum of each earlier row.
    count : int
        Rows to give, see :func:`replay_count`; more than there are come several times.
    seed, epoch : int
        Epochs count from 0.

    Returns
    -------
    list of int
        Indices of earlier rows, stratum by stratum; the planner shuffles them among the new ones.

    Examples
    --------
    >>> [replay_rows([0, 0, 0, 0], 2, seed=0, epoch=epoch) for epoch in (0, 1)]
    [[2, 0], [1, 3]]
    """
    if not len(strata):
        return []
    labels = np.asarray(strata)
    values, sizes = np.unique(labels, return_counts=True)
    rows = []
    for value, quota in zip(values, _quotas(sizes, count), strict=True):
        members = np.flatnonzero(labels == value)
        rows.extend(_walk(members, int(quota), [seed, int(value)], epoch))
    return rows


def _quotas(sizes: np.ndarray, count: int) -> np.ndarray:
    """Return ``count`` shared out in proportion to sizes, by the largest remainders."""
    exact = count * sizes / sizes.sum()
    quotas: np.ndarray = np.floor(exact).astype(int)
    behind = np.argsort(quotas - exact, kind="stable")
    quotas[behind[: count - quotas.sum()]] += 1
    return quotas


def _walk(members: np.ndarray, quota: int, seed: list[int], epoch: int) -> list[int]:
    """Return the epoch's piece of an endless row of shuffles of the members."""
    n = len(members)
    positions = range(epoch * quota, (epoch + 1) * quota)
    orders = {
        turn: np.random.default_rng([*seed, turn]).permutation(n)
        for turn in {position // n for position in positions}
    }
    return [int(members[orders[position // n][position % n]]) for position in positions]
