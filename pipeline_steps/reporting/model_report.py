"""The report of a model that was not trained here: one HTML file, what matters first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import Field

from pipeline_steps.attack_types import AttackCost, AttackResult, said_of_unchangeable
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.reporting.charts import axis_ticks, interval_lanes
from pipeline_steps.reporting.environment import environment
from pipeline_steps.reporting.marked_text import Part, marked
from pipeline_steps.reporting.report import lowest_drawn
from pipeline_steps.reporting.run_record import Reports, class_totals
from pipeline_steps.reporting.stress_tables import is_listed, stress_tables
from pipeline_steps.types import Value

_UNLISTED = ("micro_f1",)  # equals accuracy where each row has one label
_SHOWN = 10
_COLUMNS = ("attack_success_rate", "verified_unbroken", "mean_queries", "changed_words")
_TOLD = ("unchangeable",)  # in a sentence


class AttackRecord(Value):
    """One attack: the report of the answers under it, what it cost, what became of each row."""

    report: EvaluationReport
    cost: AttackCost
    results: tuple[AttackResult, ...]

    @property
    def broken(self) -> Sequence[tuple[AttackResult, list[Part]]]:
        """Some broken rows, those first whose texts changed least, with the edits marked."""
        found = [result for result in self.results if result.status == "broken"]
        shown = sorted(found, key=lambda r: (r.n_changed, r.example_id))[:_SHOWN]
        return [(result, marked(result.original, result.perturbed)) for result in shown]

    @property
    def unchangeable(self) -> str | None:
        """What is to be said of rows that it could not change, if there are any."""
        return said_of_unchangeable(self.report.suite, self.report.metric("unchangeable"))


class ModelRecord(Reports):
    """Everything that the report says: which model, which rows, and what came out."""

    name: str
    facts: dict[str, str]
    sources: dict[str, str]
    set_aside: dict[str, dict[str, int]] = Field(default={})
    attacks: tuple[AttackRecord, ...] = ()

    @property
    def shown(self) -> tuple[EvaluationReport, ...]:
        """The suites, and attacks as suites of their own."""
        return (*self.suites, *(attack.report for attack in self.attacks))


def render_model_report(record: ModelRecord) -> str:
    """Return the report as HTML."""
    main = record.main if record.reports else record.attacks[0].report
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
            columns=_COLUMNS,
            profiled="the clean rows",
        )
    )


def _is_listed(name: str) -> bool:
    return is_listed(name) and name not in (*_UNLISTED, *_COLUMNS, *_TOLD)


def _lanes(record: ModelRecord, low: float) -> Iterator[tuple[EvaluationReport, str]]:
    for report in record.shown:
        yield report, interval_lanes([report.metric(name) for name in report.headlines], low)
