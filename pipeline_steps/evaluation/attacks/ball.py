"""Accuracy at the worst point that was found within a ball around each row's word vectors."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline_steps.evaluation.intervals import wilson_interval
from pipeline_steps.evaluation_types import MetricValue

Reached = float | None
"""The radius of the first ball that breaks a row: 0 where it is wrong as it stands; None: none."""


def ball_metrics(
    reached: Sequence[Reached], radii: Sequence[float], norm: str, confidence: float
) -> tuple[MetricValue, ...]:
    """Return the share of rows that are right where they stand, and within each ball.

    The true share within a ball is at most the one that is told: another search may find more. It
    is no bound for texts, whose word vectors lie further apart than these balls reach.

    Examples
    --------
    >>> [(m.name, m.value) for m in ball_metrics([0.0, 0.1, None, None], (0.1, 0.3), "l2", 0.95)]
    [('clean_accuracy', 0.75), ('accuracy_within_l2_0.1', 0.5), ('accuracy_within_l2_0.3', 0.5)]
    """
    names = {"clean_accuracy": 0.0} | {f"accuracy_within_{norm}_{r:g}": r for r in radii}
    return tuple(_held(name, reached, radius, confidence) for name, radius in names.items())


def _held(name: str, reached: Sequence[Reached], radius: float, confidence: float) -> MetricValue:
    n, hits = len(reached), sum(found is None or found > radius for found in reached)
    if not n:
        return MetricValue(name=name, value=None, n=0)
    low, high = wilson_interval(hits, n, confidence)
    return MetricValue(name=name, value=hits / n, n=n, ci_low=low, ci_high=high)
