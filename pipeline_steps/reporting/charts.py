"""Small charts as inline SVG: they need no script, no font and no other file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from pipeline_steps.errors import counted
from pipeline_steps.types import EvaluationReport, MetricValue

_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2)
_MOST_TICKS = 6
_LANE = 18
_SIDE = 240
_LEFT = 44
_TOP = 10
_CURVE_WIDTH, _CURVE_HEIGHT = 300, 120


def axis_ticks(lowest: float) -> list[float]:
    """Return round ticks from just below ``lowest`` up to 1, at most six.

    Examples
    --------
    >>> axis_ticks(0.87)
    [0.85, 0.9, 0.95, 1.0]
    >>> axis_ticks(0.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    for step in _STEPS:
        first = math.floor(round(max(0.0, min(lowest, 0.99)) / step, 6))
        last = round(1.0 / step)
        if last - first < _MOST_TICKS:
            break
    return [round(index * step, 4) for index in range(first, last + 1)]


def interval_lanes(
    metrics: Sequence[MetricValue | None], low: float, champion: float | None = None
) -> str:
    """Return a dot with its whisker for each metric, one above the other, from ``low`` to 1.

    The drawing stretches with its place and holds no text. ``champion`` marks the champion's
    value of the first metric.
    """
    height = _LANE * len(metrics)
    marks = [_lane(metric, low, _LANE * (i + 0.5), i) for i, metric in enumerate(metrics)]
    if champion is not None:
        x = _percent(champion, low)
        marks.append(f'<path d="M{x:.2f} 1V{_LANE - 1}" class="champion"/>')
    return (
        f'<svg viewBox="0 0 100 {height}" preserveAspectRatio="none" class="lanes" '
        f'style="height:{height}px" aria-hidden="true">{"".join(marks)}</svg>'
    )


def reliability_chart(report: EvaluationReport) -> str:
    """Return accuracy against confidence; on the diagonal the model is as right as it says."""
    side = _SIDE
    largest = max((n for _, _, n in report.reliability), default=1)
    dots = "".join(
        f'<circle cx="{_LEFT + confidence * side:.1f}" cy="{_TOP + (1 - accuracy) * side:.1f}" '
        f'r="{3 + 6 * (n / largest) ** 0.5:.1f}" class="dot see-through">'
        f"<title>{counted(n, 'row')}, confidence {confidence:.2f}, accuracy {accuracy:.2f}</title>"
        "</circle>"
        for confidence, accuracy, n in report.reliability
    )
    ticks = "".join(_square_ticks(value, side) for value in (0.0, 0.5, 1.0))
    body = (
        f'<rect x="{_LEFT}" y="{_TOP}" width="{side}" height="{side}" class="frame"/>'
        f'<path d="M{_LEFT} {_TOP + side}L{_LEFT + side} {_TOP}" class="guide"/>{ticks}{dots}'
        f'<text x="{_LEFT + side / 2}" y="{_TOP + side + 34}" class="middle">confidence</text>'
        f'<text transform="translate(12 {_TOP + side / 2}) rotate(-90)" class="middle">'
        "accuracy</text>"
    )
    return _svg(side + _LEFT + 14, side + _TOP + 40, body, "reliability diagram")


def curve_chart(points: Sequence[tuple[float, float]], name: str) -> str:
    """Return a line through (step, value) between its lowest and highest value, or nothing."""
    if len(points) < 2:  # noqa: PLR2004 - a line needs two points
        return ""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    placed = [
        (
            _LEFT + _share(x, min(xs), max(xs)) * (_CURVE_WIDTH - _LEFT - 20),
            _TOP + 20 + (1 - _share(y, min(ys), max(ys))) * (_CURVE_HEIGHT - 60),
        )
        for x, y in points
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" class="dot"/>' for x, y in placed)
    sides = "".join(
        f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" class="end">{value:.3f}</text>'
        for value, y in {
            max(ys): min(y for _, y in placed),
            min(ys): max(y for _, y in placed),
        }.items()
    )
    feet = "".join(
        f'<text x="{x:.1f}" y="{_CURVE_HEIGHT - 8}" class="middle">{step:g}</text>'
        for (x, _), step in ((placed[0], xs[0]), (placed[-1], xs[-1]))
    )
    title = f'<text x="{_LEFT}" y="14">{escape(name)}</text>'
    body = f'{title}<polyline points="{path}" class="line"/>{dots}{sides}{feet}'
    return _svg(_CURVE_WIDTH, _CURVE_HEIGHT, body, name)


def _lane(metric: MetricValue | None, low: float, y: float, series: int) -> str:
    if metric is None or metric.value is None:
        return ""
    left = _percent(metric.value if metric.ci_low is None else metric.ci_low, low)
    right = _percent(metric.value if metric.ci_high is None else metric.ci_high, low)
    dot = _percent(metric.value, low)
    # A line of no length with round ends is a dot that does not stretch with the drawing.
    return (
        f'<g class="series-{series}"><path d="M{left:.2f} {y}H{right:.2f}" class="whisker"/>'
        f'<path d="M{dot:.2f} {y}h0" class="point"/></g>'
    )


def _percent(value: float, low: float) -> float:
    return 100.0 * (min(max(value, low), 1.0) - low) / ((1.0 - low) or 1.0)


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _square_ticks(value: float, side: float) -> str:
    x, y = _LEFT + value * side, _TOP + (1 - value) * side
    return (
        f'<text x="{x}" y="{_TOP + side + 16}" class="middle">{value:.1f}</text>'
        f'<text x="{_LEFT - 6}" y="{y + 4}" class="end">{value:.1f}</text>'
    )


def _svg(width: float, height: float, body: str, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(title)}" '
        f'style="max-width:{width:.0f}px">{body}</svg>'
    )
