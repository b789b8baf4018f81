"""Which partition each row goes to: groups and near-duplicate clusters stay together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def components(clusters: Array, groups: Array) -> Array:
    """Return the component of each row: rows joined by cluster or by group, transitively.

    Parameters
    ----------
    clusters : ndarray (n,) int
        Cluster of each row.
    groups : ndarray (n,) int
        Group of each row, -1 for none.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(clusters)
    _, cluster_nodes = np.unique(clusters, return_inverse=True)
    grouped = np.flatnonzero(groups >= 0)
    _, group_nodes = np.unique(groups[grouped], return_inverse=True)
    left = np.concatenate([np.arange(n), grouped])
    right = np.concatenate([n + cluster_nodes, n + n + group_nodes])
    size = 2 * n + len(group_nodes)
    graph = coo_array((np.ones(len(left), dtype=bool), (left, right)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1][:n])


def assign(
    component_of: Array,
    labels: Array,
    order_keys: Array,
    shares: dict[str, float],
    learnt: Array | None = None,
) -> Array:
    """Return the partition number of each row: 0 is train, then those of ``shares`` in order.

    Components of several rows are placed one by one, largest first, where their labels are needed
    most; single rows then fill each label up to its share. A label's last row stays in train, and
    with it its component.

    Parameters
    ----------
    component_of : ndarray (n,) int
        Rows of one component get one partition.
    labels : ndarray (n,) int
        Label of each row, counted from 0.
    order_keys : ndarray (n,) uint64
        Seeded random keys that depend on the row's id only, so that the order of rows in the file
        changes nothing.
    shares : dict
        Share of the rows of each partition but train.
    learnt : ndarray (m,) int, optional
        Label of each other row, that is in train already.
    """
    known = labels if learnt is None else np.concatenate([labels, learnt])
    left = np.bincount(known)
    totals = np.bincount(labels, minlength=len(left))
    wanted = np.array([np.floor(totals * share) for share in shares.values()])
    placing = _Placing(
        labels=labels,
        keys=order_keys,
        wanted=wanted.reshape(len(shares), len(left)),
        left=left,
        partition=np.zeros(len(labels), dtype=np.int8),
    )
    _, inverse, sizes = np.unique(component_of, return_inverse=True, return_counts=True)
    sizes_of = sizes[inverse]
    placing.place_components(np.flatnonzero(sizes_of > 1), component_of)
    placing.fill_with_singles(np.flatnonzero(sizes_of == 1))
    return placing.partition


@dataclass
class _Placing:
    """Rows on their way from train to the other partitions; n rows, k of these, c labels."""

    labels: Array  # (n,)
    keys: Array  # (n,)
    wanted: Array  # (k, c) rows that a partition still needs
    left: Array  # (c,) rows that are still in train
    partition: Array  # (n,)

    def place_components(self, rows: Array, component_of: Array) -> None:
        """Place components of several rows, but none that has the last row of a label."""
        members: dict[int, list[int]] = {}
        for row in rows.tolist():
            members.setdefault(int(component_of[row]), []).append(row)
        ordered = sorted(members.values(), key=lambda m: (-len(m), int(self.keys[m].min())))
        for component in ordered:
            counts = np.bincount(self.labels[component], minlength=len(self.left))
            if ((counts > 0) & (self.left <= counts)).any():
                continue
            fits = self._fits(counts)
            if len(fits) and fits.max() > 0:
                self._place(component, int(fits.argmax()), counts)

    def _fits(self, counts: Array) -> Array:
        """Return (k,) how many needed rows a component brings beyond those not needed."""
        room = np.minimum(self.wanted, counts).sum(axis=1)
        over = np.maximum(counts - np.maximum(self.wanted, 0), 0).sum(axis=1)
        return np.asarray((room - over) * (over <= room))

    def fill_with_singles(self, rows: Array) -> None:
        """Give each partition what it still needs of a label, as long as train keeps a row."""
        order = rows[np.lexsort((self.keys[rows], self.labels[rows]))]
        boundaries = np.flatnonzero(np.diff(self.labels[order])) + 1
        for of_label in np.split(order, boundaries):
            if len(of_label):
                self._fill(of_label, int(self.labels[of_label[0]]))

    def _fill(self, of_label: Array, label: int) -> None:
        start = 0
        for number, need in enumerate(np.maximum(self.wanted[:, label], 0)):
            taken = of_label[start : start + min(int(need), int(self.left[label]) - 1)]
            self._place(taken, number, np.bincount([label], minlength=len(self.left)) * len(taken))
            start += len(taken)

    def _place(self, rows: Array | list[int], number: int, counts: Array) -> None:
        self.wanted[number] -= counts
        self.left -= counts
        self.partition[rows] = number + 1
