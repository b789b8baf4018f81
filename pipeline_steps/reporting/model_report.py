"""The report of a model that was not trained here: one HTML file, what matters first."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from pipeline_steps.attack_types import UnderAttack
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.finding_types import Leaning
from pipeline_steps.reporting.attack_tables import attack_tables
from pipeline_steps.reporting.charts import axis_ticks, interval_lanes
from pipeline_steps.reporting.environment import environment
from pipeline_steps.reporting.report import lowest_drawn
from pipeline_steps.reporting.run_record import Reports, class_totals
from pipeline_steps.reporting.stress_tables import is_listed, stress_tables

_UNLISTED = ("micro_f1",)  # equals accuracy where each row has one label
_SHOWN = 10
_OF_ATTACKS = (
    *("attack_success_rate", "verified_unbroken", "mean_queries", "changed_words", "similarity"),
    "unchangeable",
)  # told in the part on attacks


class ModelRecord(Reports):
    """Everything that the report says: which model, which rows, and what came out."""

    name: str
    facts: dict[str, str]
    sources: dict[str, str]
    set_aside: dict[str, dict[str, int]] = Field(default={})
    attacks: tuple[EvaluationReport, ...] = ()
    under_attack: UnderAttack | None = None
    failures: tuple[Leaning, ...] = ()

    @property
    def shown(self) -> tuple[EvaluationReport, ...]:
        """The suites, and attacks as suites of their own."""
        return (*self.suites, *self.attacks)


def render_model_report(record: ModelRecord) -> str:
    """Return the report as HTML."""
    main = record.main if record.reports else record.attacks[0]
    ticks = axis_ticks(lowest_drawn(record.shown))
    return (
        environment()
        .get_template("model_report.html")
        .render(
            record=record,
            main=main,
            listed=[m.name for m in main.metrics if _is_listed(m.name)],
            ticks=[(tick, 100 * (tick - ticks[0]) / (1 - ticks[0])) for tick in ticks],
            lanes=list(_lanes(record, ticks[0])),
            weakest=sorted(main.classes, key=lambda c: (c.f1, -c.support))[:_SHOWN],
            totals=class_totals(main),
            stress=stress_tables(record) if record.reports else None,
            attack=None if record.under_attack is None else attack_tables(record.under_attack),
            profiled="the clean rows",
        )
    )


def _is_listed(name: str) -> bool:
    return is_listed(name) and name not in (*_UNLISTED, *_OF_ATTACKS)


def _lanes(record: ModelRecord, low: float) -> Iterator[tuple[EvaluationReport, str]]:
    for report in record.shown:
        yield report, interval_lanes([report.metric(name) for name in report.headlines], low)
