"""Small charts as inline SVG: they need no script, no font and no other file."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from pipeline_steps.types import EvaluationReport, MetricValue

_ROW = 30
_LABEL_WIDTH = 130
_PLOT_WIDTH = 420
_RIGHT = 60
_SIDE = 260
_MARGIN = 36


def interval_chart(rows: Sequence[tuple[str, MetricValue]], low: float, high: float) -> str:
    """Return a dot with its whisker for each named metric, on one axis from ``low`` to ``high``."""
    width = _LABEL_WIDTH + _PLOT_WIDTH + _RIGHT
    height = _ROW * (len(rows) + 1)
    parts = [_axis(low, high, _ROW * len(rows))]
    for index, (name, metric) in enumerate(rows):
        parts.append(_whisker(name, metric, low, high, _ROW * index + _ROW / 2))
    return _svg(width, height, "".join(parts), "metrics with their intervals")


def reliability_chart(report: EvaluationReport) -> str:
    """Return accuracy against confidence; on the diagonal the model is as right as it says."""
    side = _SIDE
    largest = max((n for _, _, n in report.reliability), default=1)
    dots = "".join(
        f'<circle cx="{_MARGIN + confidence * side:.1f}" cy="{side - accuracy * side + 8:.1f}" '
        f'r="{3 + 7 * (n / largest) ** 0.5:.1f}" class="dot"><title>{n} rows, confidence '
        f"{confidence:.2f}, accuracy {accuracy:.2f}</title></circle>"
        for confidence, accuracy, n in report.reliability
    )
    ticks = "".join(_square_ticks(value, side) for value in (0.0, 0.5, 1.0))
    body = (
        f'<rect x="{_MARGIN}" y="8" width="{side}" height="{side}" class="frame"/>'
        f'<line x1="{_MARGIN}" y1="{side + 8}" x2="{_MARGIN + side}" y2="8" class="guide"/>'
        f"{ticks}{dots}"
        f'<text x="{_MARGIN + side / 2}" y="{side + 40}" class="label middle">confidence</text>'
    )
    return _svg(side + _MARGIN + 16, side + 48, body, "reliability diagram")


def curve_chart(points: Sequence[tuple[float, float]], name: str) -> str:
    """Return a line through (step, value), with the first and last value written out."""
    if len(points) < 2:  # noqa: PLR2004 - a line needs two points
        return ""
    width, height = _PLOT_WIDTH, 140
    xs = [x for x, _ in points]
    ys = [y for _, y in points]
    span_x = (max(xs) - min(xs)) or 1.0
    span_y = (max(ys) - min(ys)) or 1.0
    placed = [
        (40 + (x - min(xs)) / span_x * (width - 100), 110 - (y - min(ys)) / span_y * 80)
        for x, y in points
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" class="dot"/>' for x, y in placed)
    ends = "".join(
        f'<text x="{x:.1f}" y="{y - 10:.1f}" class="label middle">{value:.3f}</text>'
        for (x, y), value in ((placed[0], ys[0]), (placed[-1], ys[-1]))
    )
    title = f'<text x="40" y="136" class="label">{escape(name)}, by step</text>'
    return _svg(width, height, f'<polyline points="{path}" class="line"/>{dots}{ends}{title}', name)


def _axis(low: float, high: float, bottom: float) -> str:
    values = [low + (high - low) * step / 4 for step in range(5)]
    return "".join(
        f'<line x1="{_x(v, low, high):.1f}" y1="0" x2="{_x(v, low, high):.1f}" y2="{bottom}" '
        f'class="grid"/><text x="{_x(v, low, high):.1f}" y="{bottom + 18}" class="label middle">'
        f"{v:.2f}</text>"
        for v in values
    )


def _whisker(name: str, metric: MetricValue, low: float, high: float, y: float) -> str:
    label = f'<text x="{_LABEL_WIDTH - 10}" y="{y + 4}" class="label end">{escape(name)}</text>'
    if metric.value is None:
        return f'{label}<text x="{_LABEL_WIDTH}" y="{y + 4}" class="label">undefined</text>'
    left = _x(metric.ci_low if metric.ci_low is not None else metric.value, low, high)
    right = _x(metric.ci_high if metric.ci_high is not None else metric.value, low, high)
    dot = _x(metric.value, low, high)
    return (
        f'{label}<line x1="{left:.1f}" y1="{y}" x2="{right:.1f}" y2="{y}" class="whisker"/>'
        f'<circle cx="{dot:.1f}" cy="{y}" r="5" class="dot"/>'
        f'<text x="{_LABEL_WIDTH + _PLOT_WIDTH + 8}" y="{y + 4}" class="label">'
        f"{metric.value:.3f}</text>"
    )


def _x(value: float, low: float, high: float) -> float:
    share = (min(max(value, low), high) - low) / ((high - low) or 1.0)
    return _LABEL_WIDTH + share * _PLOT_WIDTH


def _square_ticks(value: float, side: float) -> str:
    x, y = _MARGIN + value * side, side - value * side + 8
    return (
        f'<text x="{x}" y="{side + 24}" class="label middle">{value:.1f}</text>'
        f'<text x="{_MARGIN - 6}" y="{y + 4}" class="label end">{value:.1f}</text>'
    )


def _svg(width: float, height: float, body: str, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(title)}" '
        f'style="max-width:{width:.0f}px">{body}</svg>'
    )
