"""The report of a run: one HTML file that needs nothing else, what matters first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.gate_types import GateCheck, Verdict
from pipeline_steps.reporting.attack_tables import attack_tables
from pipeline_steps.reporting.charts import (
    axis_ticks,
    curve_chart,
    interval_lanes,
)
from pipeline_steps.reporting.curves import others_chart, seeds_chart
from pipeline_steps.reporting.environment import environment, metric_name
from pipeline_steps.reporting.run_record import (
    RunRecord,
    check_cells,
    class_totals,
    parameter_rows,
    provenance_facts,
)
from pipeline_steps.reporting.stress_tables import is_listed, stress_tables
from pipeline_steps.types import Checkpoint

__all__ = ["RunRecord", "environment", "metric_name", "render_report"]

_SLICE = " where "  # in the name of a check of one slice
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
    listed = [m.name for m in main.metrics if m.name not in _UNLISTED and is_listed(m.name)]
    champions = [record.champion_value(report.suite) for report in record.suites]
    ticks = axis_ticks(lowest_drawn(record.suites, champions))
    return (
        environment()
        .get_template("report.html")
        .render(
            record=record,
            main=main,
            listed=listed,
            meaning=MEANINGS[record.decision.verdict],
            ticks=[(tick, 100 * (tick - ticks[0]) / (1 - ticks[0])) for tick in ticks],
            lanes=[(report, _lanes(record, report, ticks[0])) for report in record.suites],
            **_checks(record.decision.checks),
            worst=[r for r in record.suites if r.worst_slice is not None],
            weakest=sorted(main.classes, key=lambda c: (c.f1, -c.support))[:10],
            totals=class_totals(main),
            stress=stress_tables(record),
            attack=None if record.under_attack is None else attack_tables(record.under_attack),
            seeds=_seeds(record),
            others=[
                (line, others_chart(line, "accuracy on clean rows"))
                for line in record.beside_others
            ],
            curves=list(_curves(record.checkpoint)),
            facts=provenance_facts(record),
            parameters=list(parameter_rows(record.checkpoint.parameters)),
        )
    )


def _checks(checks: Sequence[GateCheck]) -> dict[str, Any]:
    """Return the checks that are shown at once, and those of slices that passed: they are many."""
    cells = [(check, check_cells(check)) for check in checks]
    folded = [pair for pair in cells if pair[0].passed and _SLICE in pair[0].name]
    return {"checks": [pair for pair in cells if pair not in folded], "folded": folded}


def _lanes(record: RunRecord, report: EvaluationReport, low: float) -> str:
    metrics = [report.metric(name) for name in report.headlines]
    return interval_lanes(metrics, low, record.champion_value(report.suite))


def _seeds(record: RunRecord) -> dict[str, Any] | None:
    spread = record.seeds
    return None if spread is None else {"spread": spread, "drawing": seeds_chart(spread)}


def lowest_drawn(
    reports: Sequence[EvaluationReport], champions: Sequence[float | None] = ()
) -> float:
    """Return the lowest end of an interval, or value of the champion, that is drawn."""
    drawn = [report.metric(name) for report in reports for name in report.headlines]
    ends = [m.value if m.ci_low is None else m.ci_low for m in drawn if m is not None]
    return min((end for end in [*ends, *champions] if end is not None), default=0.0)


def _curves(checkpoint: Checkpoint) -> Iterator[str]:
    history = checkpoint.training.get("history") or []
    names = [name for name in (history[0] if history else ()) if name != "step"]
    for name in sorted(names, key=lambda name: name == "loss"):
        points = [(float(p["step"]), float(p[name])) for p in history if p.get(name) is not None]
        chart = curve_chart(points, f"validation {metric_name(name)}, by step")
        if chart:
            yield chart
