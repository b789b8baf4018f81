"""The same number under another name."""

from __future__ import annotations

from pipeline_steps.evaluation_types import MetricValue


def renamed(metric: MetricValue, name: str) -> MetricValue:
    """Return the metric called otherwise."""
    return metric.model_copy(update={"name": name})
