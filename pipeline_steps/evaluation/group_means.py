"""What groups score on average, each with the same weight."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeline_steps.evaluation_types import MetricValue, SliceMetrics

PREFIX = "mean_group_"


def group_means(slices: Sequence[SliceMetrics]) -> tuple[MetricValue, ...]:
    """Return, of each column with two groups or more, the mean of their first metric.

    Each group has the same weight, however few its rows. The groups of a column are different
    rows, so the interval is put together from theirs: by as much as each end lies off its group's
    value, squared and added up (MOVER). n is the number of rows in the groups. A group without a
    value leaves the mean undefined.

    References
    ----------
    Zou and Donner (2008), "Construction of confidence limits about effect measures: a general
    approach", Statistics in Medicine 27, 1693-1702.

    Examples
    --------
    >>> from pipeline_steps.evaluation_types import MetricValue, SliceMetrics
    >>> def group(value, low, high):
    ...     found = MetricValue(name="accuracy", value=value, n=50, ci_low=low, ci_high=high)
    ...     return SliceMetrics(column="domain", value=str(value), n=50, metrics=(found,))
    >>> [mean] = group_means([group(0.9, 0.82, 0.96), group(0.7, 0.61, 0.78)])
    >>> mean.name, round(mean.value, 2), round(mean.ci_low, 3), round(mean.ci_high, 3)
    ('mean_group_accuracy_domain', 0.8, 0.74, 0.85)
    """
    columns = dict.fromkeys(part.column for part in slices)
    found = {column: [p for p in slices if p.column == column] for column in columns}
    return tuple(_mean_of(column, parts) for column, parts in found.items() if len(parts) > 1)


def _mean_of(column: str, parts: Sequence[SliceMetrics]) -> MetricValue:
    metrics = [part.metrics[0] for part in parts]
    known = [(m.value, m.ci_low, m.ci_high) for m in metrics if m.value is not None]
    value = low = high = None
    if len(known) == len(metrics):
        value = sum(v for v, _, _ in known) / len(known)
        below = [v - a for v, a, _ in known if a is not None]
        above = [b - v for v, _, b in known if b is not None]
        if len(below) == len(above) == len(known):
            low = value - math.hypot(*below) / len(known)
            high = value + math.hypot(*above) / len(known)
    return MetricValue(
        name=f"{PREFIX}{metrics[0].name}_{column}",
        value=value,
        n=sum(part.n for part in parts),
        ci_low=low,
        ci_high=high,
        greater_is_better=metrics[0].greater_is_better,
    )
