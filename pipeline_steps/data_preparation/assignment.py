"""Which partition each row goes to: groups and near-duplicate clusters stay together."""

from __future__ import annotations

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
    component_of: Array, labels: Array, order_keys: Array, shares: dict[str, float]
) -> Array:
    """Return the partition number of each row: 0 is train, then those of ``shares`` in order.

    Components of several rows are placed one by one, largest first, where their labels are needed
    most; single rows then fill each label up to its share. A label's last row stays in train.

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
    """
    n_labels = int(labels.max(initial=-1)) + 1
    totals = np.bincount(labels, minlength=n_labels)
    wanted = np.array([np.floor(totals * share) for share in shares.values()])
    wanted = wanted.reshape(len(shares), n_labels)
    partition = np.zeros(len(labels), dtype=np.int8)
    _, inverse, sizes = np.unique(component_of, return_inverse=True, return_counts=True)
    sizes_of = sizes[inverse]
    _place_components(
        np.flatnonzero(sizes_of > 1), component_of, labels, order_keys, wanted, partition
    )
    single = np.flatnonzero(sizes_of == 1)
    _fill_with_singles(single, labels, order_keys, wanted, partition)
    return partition


def _place_components(
    rows: Array, component_of: Array, labels: Array, keys: Array, wanted: Array, partition: Array
) -> None:
    """Place components of several rows, and lower ``wanted`` by what they bring."""
    members: dict[int, list[int]] = {}
    for row in rows.tolist():
        members.setdefault(int(component_of[row]), []).append(row)
    ordered = sorted(members.values(), key=lambda m: (-len(m), int(keys[m].min())))
    for component in ordered:
        counts = np.bincount(labels[component], minlength=wanted.shape[1])
        room = np.minimum(wanted, counts).sum(axis=1) if len(wanted) else np.zeros(0)
        over = np.maximum(counts - np.maximum(wanted, 0), 0).sum(axis=1)
        fits = (room - over) * (over <= room)
        if len(fits) and fits.max() > 0:
            best = int(fits.argmax())
            wanted[best] -= counts
            partition[component] = best + 1


def _fill_with_singles(
    rows: Array, labels: Array, keys: Array, wanted: Array, partition: Array
) -> None:
    order = rows[np.lexsort((keys[rows], labels[rows]))]
    boundaries = np.flatnonzero(np.diff(labels[order])) + 1
    for of_label in np.split(order, boundaries):
        if not len(of_label):
            continue
        start = 0
        for number, need in enumerate(np.maximum(wanted[:, labels[of_label[0]]], 0)):
            stop = min(start + int(need), len(of_label))
            partition[of_label[start:stop]] = number + 1
            start = stop
