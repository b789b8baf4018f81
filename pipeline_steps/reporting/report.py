"""The report of a run: one HTML file that needs nothing else, what matters first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline_steps.reporting.charts import (
    axis_ticks,
    curve_chart,
    interval_lanes,
    reliability_chart,
)
from pipeline_steps.reporting.run_record import (
    RunRecord,
    check_cells,
    class_totals,
    parameter_rows,
    provenance_facts,
)
from pipeline_steps.reporting.summary import value_with_interval
from pipeline_steps.types import Checkpoint, EvaluationReport, MetricValue, Verdict

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

__all__ = ["RunRecord", "render_report"]

_TEMPLATES = Path(__file__).parent / "templates"
_NAMES = {
    "macro_f1": "macro-F1",
    "weighted_f1": "weighted F1",
    "entity_f1": "entity F1",
    "nll": "NLL",
    "brier": "Brier",
    "ece": "ECE",
}
_UNLISTED = ("micro_f1",)  # equals accuracy where each row has one label
MEANINGS = {
    Verdict.PROMOTE: "It is fit to be champion.",
    Verdict.HOLD: "It is not worse than the champion, and no gain is shown; the champion stays.",
    Verdict.REJECT: "It may not become champion.",
    Verdict.INCONCLUSIVE: "There are too few rows to tell; the champion stays.",
}


def render_report(record: RunRecord) -> str:
    """Return the report as HTML: verdict and reasons, metrics, checks, slices, data, provenance."""
    main = record.main
    listed = [metric.name for metric in main.metrics if metric.name not in _UNLISTED]
    ticks = axis_ticks(_lowest_drawn(record))
    return (
        _environment()
        .get_template("report.html")
        .render(
            record=record,
            main=main,
            listed=listed,
            meaning=MEANINGS[record.decision.verdict],
            ticks=[(tick, 100 * (tick - ticks[0]) / (1 - ticks[0])) for tick in ticks],
            lanes=[(report, _lanes(record, report, ticks[0])) for report in record.reports],
            checks=[(check, check_cells(check)) for check in record.decision.checks],
            worst=[r for r in record.reports if r.worst_slice is not None],
            weakest=sorted(main.classes, key=lambda c: (c.f1, -c.support))[:10],
            totals=class_totals(main),
            reliability=reliability_chart(main),
            curves=list(_curves(record.checkpoint)),
            facts=provenance_facts(record),
            parameters=list(parameter_rows(record.checkpoint.parameters)),
        )
    )


def _lanes(record: RunRecord, report: EvaluationReport, low: float) -> str:
    metrics = [report.metric(name) for name in report.headlines]
    return interval_lanes(metrics, low, record.champion_value(report.suite))


def _lowest_drawn(record: RunRecord) -> float:
    """Return the lowest end of an interval, or value of the champion, that is drawn."""
    drawn = [report.metric(name) for report in record.reports for name in report.headlines]
    ends = [m.value if m.ci_low is None else m.ci_low for m in drawn if m is not None]
    ends += [record.champion_value(report.suite) for report in record.reports]
    return min((end for end in ends if end is not None), default=0.0)


def _curves(checkpoint: Checkpoint) -> Iterator[str]:
    history = checkpoint.training.get("history") or []
    names = [name for name in (history[0] if history else ()) if name != "step"]
    for name in sorted(names, key=lambda name: name == "loss"):
        points = [(float(p["step"]), float(p[name])) for p in history if p.get(name) is not None]
        chart = curve_chart(points, f"validation {metric_name(name)}, by step")
        if chart:
            yield chart


def metric_name(name: str) -> str:
    """Return a metric's name as people write it.

    Examples
    --------
    >>> metric_name("entity_f1"), metric_name("token_accuracy")
    ('entity F1', 'token accuracy')
    """
    return _NAMES.get(name, name.replace("_", " "))


def _bounds(metric: MetricValue | None) -> str:
    if metric is None or metric.ci_low is None or metric.ci_high is None:
        return ""
    return f"[{metric.ci_low:.3f}, {metric.ci_high:.3f}]"


def _point(metric: MetricValue | None) -> str:
    return "undefined" if metric is None or metric.value is None else f"{metric.value:.3f}"


def _breakable(label: str) -> Markup:
    """Return the escaped label, which may be broken behind each underscore."""
    from markupsafe import Markup, escape

    return Markup("_<wbr>").join(escape(part) for part in label.split("_"))


def _environment() -> Environment:
    """Return the templates; everything that comes from data is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(default=True, enabled_extensions=("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {
        "interval": value_with_interval,
        "point": _point,
        "bounds": _bounds,
        "breakable": _breakable,
        "metric": metric_name,
    }
    environment.filters.update(filters)
    return environment
