"""Curves of shares in a wide frame: what is left at each budget."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from pipeline_steps.attack_types import BudgetPoint
from pipeline_steps.finding_types import RobustnessLine, SeedSpread

_WIDTH, _HEIGHT = 300, 190
_LEFT, _TOP, _RIGHT, _FOOT = 34, 8, 10, 36
_BEYOND = 1.05
_INNER, _TALL = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _FOOT


def budget_chart(
    points: Sequence[BudgetPoint], other: Sequence[BudgetPoint], name: str, unit: str
) -> str:
    """Return the accuracy under attack as steps over the budget, with its band; or nothing.

    ``unit`` is what the budget counts, in words.
    ``other`` is that of another version, in the second colour and without a band. The axis goes
    a little beyond the last budget at which a row of either breaks; there is none where no row
    does.
    """
    last = max((point.budget for point in (*points, *other)), default=0)
    if not last:
        return ""
    edges = [(p.budget, p.ci_low) for p in points], [(p.budget, p.ci_high) for p in points]
    low, high = (_steps(edge, last) for edge in edges)
    band = " ".join([*high, *reversed(low)])
    lines = f'<polygon points="{band}" class="band"/>{_line(points, last, "line")}'
    lines += _line(other, last, "line second") if other else ""
    return _svg(_WIDTH, _HEIGHT, f"{_frame(last, unit)}{lines}", name)


def seeds_chart(spread: SeedSpread) -> str:
    """Return a dot for the score of each seed between the lowest and the highest of them.

    Seeds that diverged have no dot; those that the checkpoint was made of are filled.
    """
    known = {s: v for s, v in zip(spread.seeds, spread.scores, strict=True) if v is not None}
    low, high = min(known.values()), max(known.values())
    width = (high - low) or 1.0
    y = 34
    dots = "".join(
        f'<circle cx="{_LEFT + _INNER * (value - low) / width:.1f}" cy="{y}" r="6" '
        f'class="dot{"" if seed in spread.chosen else " hollow"}"><title>seed {seed}: {value:.3f}'
        "</title></circle>"
        for seed, value in known.items()
    )
    ends = "".join(
        f'<text x="{x}" y="{y + 24}" class="middle">{value:.3f}</text>'
        for x, value in {_LEFT: low, _LEFT + _INNER: high}.items()
    )
    title = f'<text x="{_LEFT}" y="14">validation {escape(spread.metric.replace("_", " "))}</text>'
    axis = f'<path d="M{_LEFT} {y}h{_INNER}" class="frame"/>'
    return _svg(_WIDTH, 64, f"{title}{axis}{dots}{ends}", "scores by seed")


def others_chart(line: RobustnessLine, below: str) -> str:
    """Return the accuracy on a suite against that on clean rows: versions, and their line."""
    xs, ys = (
        [point[axis] for point in (line.version, *line.others, *line.line)] for axis in (0, 1)
    )
    (left, right), (bottom, top) = (_reach(values) for values in (xs, ys))

    def place(point: tuple[float, float]) -> tuple[float, float]:
        x, y = (point[0] - left) / (right - left), (point[1] - bottom) / (top - bottom)
        return _LEFT + _INNER * x, _TOP + _TALL * (1 - y)

    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, line.line))
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" class="{kind}"/>'
        for kind, points in (("dot", line.others), ("dot second", (line.version,)))
        for x, y in map(place, points)
    )
    feet = "".join(
        f'<text x="{x}" y="{_TOP + _TALL + 15}" class="middle">{value:.2f}</text>'
        for x, value in {_LEFT: left, _LEFT + _INNER: right}.items()
    )
    sides = "".join(
        f'<text x="{_LEFT - 6}" y="{y + 4}" class="end">{value:.2f}</text>'
        for y, value in {_TOP: top, _TOP + _TALL: bottom}.items()
    )
    name = f'<text x="{_LEFT + _INNER / 2}" y="{_HEIGHT - 4}" class="middle">{escape(below)}</text>'
    frame = f'<rect x="{_LEFT}" y="{_TOP}" width="{_INNER}" height="{_TALL}" class="frame"/>'
    body = f'{frame}<polyline points="{path}" class="line dashed"/>{dots}{feet}{sides}{name}'
    return _svg(_WIDTH, _HEIGHT, body, f"{line.suite} against {below}")


def _reach(values: Sequence[float]) -> tuple[float, float]:
    """Return an axis with some room around values."""
    room = max(0.1 * (max(values) - min(values)), 0.01)
    return max(0.0, min(values) - room), min(1.0, max(values) + room)


def _svg(width: int, height: int, body: str, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}" '
        f'style="max-width:{width}px">{body}</svg>'
    )


def _line(points: Sequence[BudgetPoint], last: int, kind: str) -> str:
    found = " ".join(_steps([(p.budget, p.accuracy) for p in points], last))
    return f'<polyline points="{found}" class="{kind}"/>'


def _steps(points: Sequence[tuple[int, float]], last: int) -> list[str]:
    """Return the corners of a step line: each value holds up to the next budget."""
    corners: list[tuple[float, float]] = []
    for budget, value in points:
        if corners:
            corners.append((budget, corners[-1][1]))
        corners.append((budget, value))
    corners.append((_BEYOND * last, corners[-1][1]))
    return [
        f"{_across(budget, last):.1f},{_TOP + _TALL * (1 - value):.1f}" for budget, value in corners
    ]


def _across(budget: float, last: int) -> float:
    return _LEFT + _INNER * budget / (_BEYOND * last)


def _frame(last: int, unit: str) -> str:
    bottom = _TOP + _TALL
    sides = "".join(
        f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" class="end">{value:g}</text>'
        f'<path d="M{_LEFT} {y:.1f}h{_INNER}" class="frame"/>'
        for value, y in ((value, _TOP + _TALL * (1 - value)) for value in (0.0, 0.5, 1.0))
    )
    feet = "".join(
        f'<text x="{_across(budget, last):.1f}" y="{bottom + 15}" class="middle">{budget}</text>'
        for budget in sorted({0, last // 2, last})
    )
    below = f'<text x="{_LEFT + _INNER / 2}" y="{bottom + 31}" class="middle">{unit}</text>'
    return f"{sides}{feet}{below}"
