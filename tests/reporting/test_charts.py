"""Charts stay inside their frame, whatever the numbers are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.evaluation_types import MetricValue
from pipeline_steps.reporting.charts import axis_ticks, curve_chart, interval_lanes

values = st.floats(0, 1)


@given(values)
def test_ticks_are_few_rising_and_reach_from_below_the_lowest_value_to_one(lowest: float) -> None:
    ticks = axis_ticks(lowest)
    assert 2 <= len(ticks) <= 6
    assert ticks == sorted(set(ticks))
    assert ticks[0] <= lowest or lowest > 0.99
    assert ticks[-1] == 1.0


@given(st.lists(values, min_size=3, max_size=3), values)
def test_whiskers_stay_inside_the_drawing(numbers, low) -> None:
    bottom, value, top = sorted(numbers)
    metric = MetricValue(name="accuracy", value=value, n=9, ci_low=bottom, ci_high=top)
    drawing = interval_lanes([metric, None], axis_ticks(low)[0], champion=value)
    xs = [float(x) for x in re.findall(r"[MH](-?[\d.]+)", drawing)]
    assert all(0 <= x <= 100 for x in xs)


def test_an_undefined_metric_is_not_drawn() -> None:
    undefined = MetricValue(name="accuracy", value=None, n=9)
    assert "<path" not in interval_lanes([undefined], 0.5)


@pytest.mark.parametrize("points", [[], [(1.0, 0.5)]])
def test_a_curve_needs_two_points(points) -> None:
    assert curve_chart(points, "accuracy") == ""


def test_a_flat_curve_is_a_level_line() -> None:
    drawing = curve_chart([(1, 0.5), (2, 0.5)], "a < b")
    (path,) = re.findall(r'points="([^"]+)"', drawing)
    (_, y1), (_, y2) = (point.split(",") for point in path.split())
    assert y1 == y2
    assert "a &lt; b" in drawing
