"""What intervals, slices and paired tests ask of scored rows, whatever the problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self

import numpy as np

Array = np.ndarray[Any, Any]


class ScoredRows(Protocol):
    """What a checkpoint did with each of n rows."""

    @property
    def confidence(self) -> Array:
        """The probability of the answer, (n,)."""
        ...

    @property
    def bins(self) -> Array:
        """The equal-width calibration bin, (n,)."""
        ...

    @property
    def n_bins(self) -> int:
        """How many calibration bins there are."""
        ...

    @property
    def directions(self) -> Mapping[str, bool]:
        """Metric -> whether greater is better, in the order of the reports."""
        ...

    @property
    def headlines(self) -> tuple[str, ...]:
        """The metrics that are shown first; the first one decides."""
        ...

    @property
    def shares(self) -> tuple[str, ...]:
        """Metrics that are the share of rows answered right: their intervals are computed."""
        ...

    @property
    def averages(self) -> tuple[str, ...]:
        """Metrics that are as uncertain as a share where every row is right, or none."""
        ...

    @property
    def correct(self) -> Array:
        """Whether each row was right, (n,) bool."""
        ...

    def __len__(self) -> int: ...

    def take(self, rows: Array) -> Self:
        """Return some of the rows (indices or mask)."""
        ...

    def weighted(self, weights: Array) -> dict[str, Array]:
        """Return every metric for each row of ``weights`` (n_weightings, n), each (n_weightings,).

        Not a number where a metric is undefined.
        """
        ...

    def followed_by(self, others: Any) -> Self:
        """Return these rows and, behind them, those of another checkpoint (of the same problem)."""
        ...

    def answers_like(self, others: Any) -> bool:
        """Return whether another checkpoint gave the same answer to every row."""
        ...


def point_metrics(rows: ScoredRows) -> dict[str, float]:
    """Return every metric of the rows as they are."""
    values = rows.weighted(np.ones((1, len(rows))))
    return {name: float(value[0]) for name, value in values.items()}
