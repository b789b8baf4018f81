"""Curves by severity: what is left of a metric as one kind of noise grows."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from pipeline_steps.evaluation_types import EvaluationReport, MetricValue
from pipeline_steps.reporting.charts import axis_ticks

_NAMED = re.compile(r"(.+)_([1-5])")
_STRONGEST = 5
_FEWEST = 2
_WIDTH, _HEIGHT = 300, 200
_LEFT, _TOP, _RIGHT, _FOOT = 38, 8, 12, 36
_INNER, _TALL = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _FOOT
_APART = 5  # the second series stands beside the first, so that both whiskers are seen


@dataclass(frozen=True)
class SeverityCurve:
    """A metric under one kind of noise: severity -> value; 0 are the clean rows.

    ``other`` is the same of another version; there may be less of it, and no intervals.
    """

    noise: str
    points: Mapping[int, MetricValue]
    other: Mapping[int, MetricValue] = field(default_factory=dict)


def severity_curves(
    reports: Sequence[EvaluationReport],
    metric: str,
    others: Sequence[EvaluationReport] = (),
    other_values: Mapping[str, float | None] | None = None,
) -> tuple[SeverityCurve, ...]:
    """Return a curve for each noise that was measured at two severities or more.

    The suites of a noise are called ``NAME_1`` to ``NAME_5``, as ``suites.noise`` names them.

    Parameters
    ----------
    reports : sequence of EvaluationReport
        Of the version: noise suites, and the clean rows.
    metric : str
        Which metric is drawn.
    others : sequence of EvaluationReport
        Of another version.
    other_values : mapping of str to float, optional
        Suite -> value of another version, where there are no reports of it.
    """
    ours, theirs = _by_suite(reports, metric), _by_suite(others, metric)
    for name, value in (other_values or {}).items():
        if value is not None and name in ours:
            theirs.setdefault(name, MetricValue(name=metric, value=value, n=ours[name].n))
    curves = []
    for noise, suites in _suites_by_noise((*reports, *others)).items():
        points, other = (
            {level: known[name] for level, name in suites.items() if name in known}
            for known in (ours, theirs)
        )
        if len(points.keys() | other.keys()) > _FEWEST:  # the clean rows are one of them
            curves.append(SeverityCurve(noise, points, other))
    return tuple(curves)


def severity_chart(curve: SeverityCurve, low: float) -> str:
    """Return a line with whiskers over the severities, from ``low`` to 1.

    Another version's line is drawn in the second colour.
    """
    drawn = _series(curve.other, low, " second", _APART) if curve.other else ""
    body = f"{_frame(low)}{drawn}{_series(curve.points, low, '', 0)}"
    title = escape(f"{curve.noise}, by severity")
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}" '
        f'style="max-width:{_WIDTH}px">{body}</svg>'
    )


def lowest_of_curves(curves: Sequence[SeverityCurve]) -> float:
    """Return where the axis of all curves begins: the same, so that they can be compared."""
    metrics = [m for c in curves for m in (*c.points.values(), *c.other.values())]
    ends = [m.value if m.ci_low is None else m.ci_low for m in metrics]
    return axis_ticks(min((end for end in ends if end is not None), default=0.0))[0]


def _by_suite(reports: Sequence[EvaluationReport], metric: str) -> dict[str, MetricValue]:
    found = {r.suite: r.metric(metric) for r in reports if r.kind in ("clean", "noise")}
    return {name: m for name, m in found.items() if m is not None and m.value is not None}


def _suites_by_noise(reports: Sequence[EvaluationReport]) -> dict[str, dict[int, str]]:
    """Return noise -> severity -> suite, from the weakest; 0 is the suite of clean rows."""
    clean = [(0, r.suite) for r in reports if r.kind == "clean"]
    found: dict[str, dict[int, str]] = defaultdict(dict)
    for report in reports:
        named = _NAMED.fullmatch(report.suite) if report.kind == "noise" else None
        if named:
            found[named[1]][int(named[2])] = report.suite
    return {noise: dict([*clean, *sorted(levels.items())]) for noise, levels in found.items()}


def _series(points: Mapping[int, MetricValue], low: float, kind: str, moved: int) -> str:
    placed = [(_x(level) + moved, metric) for level, metric in points.items()]
    line = " ".join(f"{x:.1f},{_y(m.value, low):.1f}" for x, m in placed)
    marks = "".join(_mark(x, m, low, kind) for x, m in placed)
    return f'<polyline points="{line}" class="line{kind}"/>{marks}'


def _mark(x: float, metric: MetricValue, low: float, kind: str) -> str:
    bar = ""
    if metric.ci_low is not None and metric.ci_high is not None:
        top, bottom = _y(metric.ci_high, low), _y(metric.ci_low, low)
        bar = f'<path d="M{x:.1f} {top:.1f}V{bottom:.1f}" class="bar{kind}"/>'
    said = f"{metric.value:.3f}"
    if bar:
        said += f" [{metric.ci_low:.3f}, {metric.ci_high:.3f}]"
    y = _y(metric.value, low)
    dot = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="dot{kind}"><title>{said}</title></circle>'
    )
    return bar + dot


def _x(level: int) -> float:
    return _LEFT + 8 + (_INNER - 16) * level / _STRONGEST


def _y(value: float | None, low: float) -> float:
    share = (min(max(value or 0.0, low), 1.0) - low) / ((1.0 - low) or 1.0)
    return _TOP + _TALL * (1.0 - share)


def _frame(low: float) -> str:
    sides = "".join(
        f'<text x="{_LEFT - 6}" y="{_y(tick, low) + 4:.1f}" class="end">{tick:g}</text>'
        f'<path d="M{_LEFT} {_y(tick, low):.1f}h{_INNER}" class="frame"/>'
        for tick in axis_ticks(low)
    )
    feet = "".join(
        f'<text x="{_x(level):.1f}" y="{_TOP + _TALL + 16}" class="middle">'
        f"{level or 'clean'}</text>"
        for level in range(_STRONGEST + 1)
    )
    below = f'<text x="{_LEFT + _INNER / 2}" y="{_HEIGHT - 4}" class="middle">severity</text>'
    return f"{sides}{feet}{below}"
