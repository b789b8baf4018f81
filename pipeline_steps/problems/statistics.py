"""Metrics as functions of sums over examples, so that any weighting of the examples has them.

A bootstrap resample, a slice and a swap of two models' answers are all weightings: what each
example adds is counted once, and every metric follows from weighted sums.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from pipeline_steps.evaluation_types import ClassMetrics

Array = np.ndarray[Any, Any]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Statistics:
    """What each of n examples adds, and the metrics of the sums.

    Attributes
    ----------
    counts : ndarray or scipy.sparse.csr_array (n, n_counts)
        Sufficient statistics. Sparse where a row touches few of many: 50,000 rows with 500 labels
        would fill 600 MB with zeros.
    correct : ndarray (n,) bool
        Whether an example was answered exactly.
    metrics : callable
        Sums (n_weightings, n_counts) and total weights (n_weightings,) -> metric -> values; not a
        number where a metric is undefined.
    classes, tags : tuple of ClassMetrics
        Precision, recall and F1 by type, and by single tag where a row has many.
    confusion : tuple
        (truth, predicted, count) of the mistakes, most frequent first.
    shares : tuple of str
        Metrics that are the share of examples answered exactly.
    averages : tuple of str
        Metrics that cannot vary in resamples where every example, or none, is answered exactly.
    lower_is_better : tuple of str
        Metrics of which less is better.
    """

    counts: Any
    correct: Array
    metrics: Callable[[Array, Array], dict[str, Array]]
    classes: tuple[ClassMetrics, ...] = ()
    tags: tuple[ClassMetrics, ...] = ()
    confusion: tuple[tuple[str, str, int], ...] = ()
    shares: tuple[str, ...] = ()
    averages: tuple[str, ...] = ()
    lower_is_better: tuple[str, ...] = ()


def agreement_counts(
    pairs: Sequence[tuple[AbstractSet[Item], AbstractSet[Item]]],
    names: Sequence[str],
    name_of: Callable[[Item], str],
) -> Any:
    """Return for each row and name how many items were found exactly, are true, were answered.

    Parameters
    ----------
    pairs : sequence
        True and answered items of each row.
    names : sequence of str
        The n_names that occur.
    name_of : callable
        The name under which an item is counted.

    Returns
    -------
    scipy.sparse.csr_array (n, 3 n_names)
        The found ones of all names, then the true ones, then the answered ones; an ndarray where
        there is no scipy, as on a machine for training alone.
    """
    index = {name: position for position, name in enumerate(names)}
    rows: list[int] = []
    columns: list[int] = []
    for row, (true, answered) in enumerate(pairs):
        for place, group in enumerate((true & answered, true, answered)):
            rows += [row] * len(group)
            columns += [place * len(names) + index[name_of(item)] for item in group]
    return _ones_at(rows, columns, (len(pairs), 3 * len(names)))


def _ones_at(rows: Sequence[int], columns: Sequence[int], shape: tuple[int, int]) -> Any:
    """Return how often each place is named, sparse where scipy is there."""
    if importlib.util.find_spec("scipy") is None:
        dense = np.zeros(shape)
        np.add.at(dense, (np.array(rows, dtype=int), np.array(columns, dtype=int)), 1.0)
        return dense
    from scipy.sparse import csr_array

    return csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)


def beside(counts: Any, more: Array) -> Any:
    """Return counts of :func:`agreement_counts` with the columns of an array behind them."""
    if isinstance(counts, np.ndarray):
        return np.hstack([counts, more])
    from scipy.sparse import csr_array, hstack

    return hstack([counts, csr_array(more)], format="csr")


def by_name(sums: Array, n_names: int) -> tuple[Array, Array, Array]:
    """Return found, true and answered items of each name, each (..., n_names), of summed counts."""
    found, true, answered = np.split(sums[..., : 3 * n_names], 3, axis=-1)
    return found, true, answered


def ratio(numerator: Array, denominator: Array, undefined: float = 0.0) -> Array:
    """Return numerator / denominator, and ``undefined`` where the denominator is 0."""
    numerator, denominator = np.asarray(numerator, float), np.asarray(denominator, float)
    filled = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), undefined)
    return np.asarray(np.divide(numerator, denominator, out=filled, where=denominator != 0))


def class_rows(
    names: Sequence[str], hits: Array, support: Array, assigned: Array
) -> tuple[ClassMetrics, ...]:
    """Return the report line of each name that occurs in truth or prediction."""
    precision, recall = ratio(hits, assigned), ratio(hits, support)
    f1 = ratio(2.0 * hits, support + assigned)
    return tuple(
        ClassMetrics(
            label=name,
            precision=float(precision[i]),
            recall=float(recall[i]),
            f1=float(f1[i]),
            support=int(support[i]),
        )
        for i, name in enumerate(names)
        if support[i] + assigned[i]
    )


def most_frequent(counts: Mapping[tuple[str, str], int], n: int = 20) -> tuple[Any, ...]:
    """Return (truth, predicted, count) of the most frequent mistakes, largest first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple((truth, predicted, count) for (truth, predicted), count in ordered[:n])
