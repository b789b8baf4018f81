"""Small charts as inline SVG: they need no script, no font and no other file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from pipeline_steps.errors import counted
from pipeline_steps.evaluation_types import EvaluationReport, MetricValue

_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2)
_MOST_TICKS = 6
_LANE = 18
_SIDE = 240
_LEFT = 44
_TOP = 10
_CURVE_WIDTH, _CURVE_HEIGHT = 300, 120
_TICK_LETTERS = 4  # more would run into the name of the axis


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
    """Return accuracy against confidence; on the diagonal the model is as right as it says.

    Where the report has a temperature, a second series shows the same rows under it.
    """
    side = _SIDE
    drawn = _dots(report.reliability, "dot see-through")
    drawn += _dots(report.scaled_reliability, "dot second see-through")
    body = _square(("0.0", "0.5", "1.0"), "confidence", "accuracy", "1.0") + (
        f'<path d="M{_LEFT} {_TOP + side}L{_LEFT + side} {_TOP}" class="guide"/>{drawn}'
    )
    return _svg(side + _LEFT + 14, side + _TOP + 40, body, "reliability diagram")


def risk_chart(curves: Sequence[Sequence[tuple[float, float]]]) -> str:
    """Return risk against coverage as one line a curve, the first in the main colour; or nothing.

    The risk reaches up to the largest that is drawn, rounded up to a twentieth.
    """
    highest = max((risk for curve in curves for _, risk in curve), default=None)
    if highest is None:
        return ""
    top = max(math.ceil(round(highest * 20, 6)) / 20, 0.05)
    lines = "".join(
        _risk_line(curve, top, "line second" if place else "line")
        for place, curve in enumerate(curves)
    )
    body = _square(("0.0", "0.5", "1.0"), "coverage", "risk", f"{top:.2f}") + lines
    return _svg(_SIDE + _LEFT + 14, _SIDE + _TOP + 40, body, "risk against coverage")


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


def _dots(points: Sequence[tuple[float, float, int]], kind: str) -> str:
    largest = max((n for _, _, n in points), default=1)
    return "".join(
        f'<circle cx="{_LEFT + confidence * _SIDE:.1f}" cy="{_TOP + (1 - accuracy) * _SIDE:.1f}" '
        f'r="{3 + 6 * (n / largest) ** 0.5:.1f}" class="{kind}">'
        f"<title>{counted(n, 'row')}, confidence {confidence:.2f}, accuracy {accuracy:.2f}</title>"
        "</circle>"
        for confidence, accuracy, n in points
    )


def _risk_line(curve: Sequence[tuple[float, float]], top: float, kind: str) -> str:
    points = " ".join(
        f"{_LEFT + coverage * _SIDE:.1f},{_TOP + (1 - risk / top) * _SIDE:.1f}"
        for coverage, risk in curve
    )
    return f'<polyline points="{points}" class="{kind}"/>'


def _square(feet: Sequence[str], below: str, beside: str, top: str) -> str:
    """Return a square frame with ticks below, 0 and the top value beside, and both axes' names."""
    side, bottom = _SIDE, _TOP + _SIDE
    ticks = "".join(
        f'<text x="{_LEFT + side * place / (len(feet) - 1)}" y="{bottom + 16}" class="middle">'
        f"{foot}</text>"
        for place, foot in enumerate(feet)
    )
    middle = f"{float(top) / 2:.3g}"
    marks = [("0.0", bottom), (middle, _TOP + side / 2), (top, _TOP)]
    ends = "".join(
        f'<text x="{_LEFT - 6}" y="{y + 4}" class="end">{text}</text>'
        for text, y in marks
        if len(text) <= _TICK_LETTERS
    )
    return (
        f'<rect x="{_LEFT}" y="{_TOP}" width="{side}" height="{side}" class="frame"/>{ticks}{ends}'
        f'<text x="{_LEFT + side / 2}" y="{bottom + 34}" class="middle">{below}</text>'
        f'<text transform="translate(8 {_TOP + side / 2}) rotate(-90)" class="middle">'
        f"{beside}</text>"
    )


def _svg(width: float, height: float, body: str, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(title)}" '
        f'style="max-width:{width:.0f}px">{body}</svg>'
    )
