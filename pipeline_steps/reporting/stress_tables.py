"""What the report says of sureness, shift, churn and behaviour: rows of its tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pipeline_steps.comparison_types import PairedComparison
from pipeline_steps.evaluation_types import (
    EvaluationReport,
    MetricValue,
    SliceMetrics,
    SuiteAverage,
)
from pipeline_steps.reporting.charts import (
    axis_ticks,
    interval_lanes,
    reliability_chart,
    risk_chart,
)
from pipeline_steps.reporting.run_record import Reports
from pipeline_steps.reporting.severities import (
    SeverityCurve,
    lowest_of_curves,
    severity_chart,
    severity_curves,
)
from pipeline_steps.reporting.summary import no_temperature, unchanged_lines
from pipeline_steps.worst_groups import Group, not_attacked, worst_groups, worst_suite

CALIBRATION = (
    "ece", "ece_scaled", "nll", "nll_scaled", "brier", "brier_scaled", "adaptive_ece",
    "classwise_ece",
)  # fmt: skip
SELECTIVE = (
    "aurc", "e_aurc", "coverage_at_5_error", "risk_at_80_coverage", "risk_at_90_coverage",
)  # fmt: skip
SCORES = ("max_softmax", "max_logit", "energy", "entropy")
_GAP = "_gap"
_MOST_GROUPS = 10


@dataclass(frozen=True)
class GroupsPlot:
    """The groups that are served worst, one below the other, beside all rows of their suite."""

    ticks: tuple[tuple[float, float], ...]
    lanes: tuple[tuple[Group, str], ...]


class Grouped(NamedTuple):
    """The groups of a suite by one column, the worst first, and their mean."""

    report: EvaluationReport
    column: str
    groups: tuple[SliceMetrics, ...]
    mean: MetricValue


@dataclass(frozen=True)
class StressTables:
    """Everything that the part of the report on stress shows."""

    reliability: str
    risk: str
    steepest: str | None
    temperature: MetricValue | None
    outside: tuple[tuple[str, str, int, tuple[MetricValue | None, ...]], ...]
    gaps: tuple[EvaluationReport, ...]
    gap_names: tuple[str, ...]
    unchanged: tuple[str, ...]
    worst_suite: EvaluationReport | None
    worst_groups: GroupsPlot | None
    severities: tuple[tuple[SeverityCurve, str], ...]
    churned: tuple[PairedComparison, ...]
    averages: tuple[SuiteAverage, ...]
    grouped: tuple[Grouped, ...]
    calibration: tuple[str, ...]
    no_temperature: str
    selective: tuple[str, ...] = SELECTIVE


def stress_tables(record: Reports) -> StressTables:
    """Return the tables and drawings of a record; what it does not hold is empty."""
    main = record.main
    steepest = _steepest(record)
    curves = [report for report in (main, steepest) if report is not None]
    temperature = next((r.temperature for r in record.of_kind("calibration")), None)
    gaps = tuple(r for r in record.suites if any(m.name.endswith(_GAP) for m in r.metrics))
    names = dict.fromkeys(m.name for r in gaps for m in r.metrics if m.name.endswith(_GAP))
    compared = sorted(record.comparisons, key=lambda c: c.suite != main.suite)
    return StressTables(
        reliability=reliability_chart(main),
        risk=risk_chart([report.risk_coverage for report in curves]),
        steepest=None if steepest is None else steepest.suite,
        temperature=temperature,
        outside=tuple(row for report in record.of_kind("out_of_scope") for row in _scores(report)),
        gaps=gaps,
        gap_names=tuple(names),
        unchanged=tuple(unchanged_lines(gaps)),
        worst_suite=worst_suite(record.suites),
        worst_groups=_worst_groups(record.suites),
        severities=_severities(record),
        churned=tuple(c for c in compared if c.churn is not None),
        averages=tuple(a for report in record.of_kind("average") for a in report.averages),
        grouped=tuple(row for r in not_attacked(record.suites) for row in _grouped(r)),
        calibration=_calibration(temperature),
        no_temperature=no_temperature(0 if temperature is None else temperature.n),
    )


def _calibration(temperature: MetricValue | None) -> tuple[str, ...]:
    """Return the measures of sureness; without a temperature nothing is scaled."""
    known = temperature is not None and temperature.value is not None
    return tuple(name for name in CALIBRATION if known or not name.endswith("_scaled"))


def is_listed(name: str) -> bool:
    """Return whether a metric stands in the table of all suites, and not in one of its own.

    Examples
    --------
    >>> [is_listed(name) for name in ("accuracy", "ece", "ece_scaled", "accuracy_gap")]
    [True, True, False, False]
    """
    further = {*CALIBRATION, *SELECTIVE} - {"ece", "nll", "brier"}
    return name not in further and not name.endswith(_GAP)


def drawn_curves(curves: Sequence[SeverityCurve]) -> tuple[tuple[SeverityCurve, str], ...]:
    """Return each curve with its drawing; all have one axis, so that they can be compared."""
    low = lowest_of_curves(curves)
    return tuple((curve, severity_chart(curve, low)) for curve in curves)


def _severities(record: Reports) -> tuple[tuple[SeverityCurve, str], ...]:
    name = record.main.headline
    champion = {
        c.suite: d.champion for c in record.comparisons for d in c.differences if d.name == name
    }
    return drawn_curves(severity_curves(record.suites, name, other_values=champion))


def _worst_groups(reports: Sequence[EvaluationReport]) -> GroupsPlot | None:
    groups = worst_groups(reports, _MOST_GROUPS)
    if not groups:
        return None
    overall = {report.suite: report.metric(report.headline) for report in reports}
    metrics = [group.part.metrics[0] for group in groups]
    ends = [m.value if m.ci_low is None else m.ci_low for m in metrics]
    ticks = axis_ticks(min((end for end in ends if end is not None), default=0.0))
    low = ticks[0]
    lanes = []
    for group, metric in zip(groups, metrics, strict=True):
        whole = overall[group.suite]
        lanes.append((group, interval_lanes([metric], low, None if whole is None else whole.value)))
    return GroupsPlot(tuple((t, 100 * (t - low) / (1 - low)) for t in ticks), tuple(lanes))


def _grouped(report: EvaluationReport) -> Iterator[Grouped]:
    columns = dict.fromkeys(part.column for part in report.slices)
    for mean in report.group_means:
        column = next(name for name in columns if mean.name.endswith(f"_{name}"))
        parts = [part for part in report.slices if part.column == column]
        if mean.value is not None:
            parts.sort(key=lambda part: (part.metrics[0].value, -part.n))
            yield Grouped(report, column, tuple(parts), mean)


def _scores(report: EvaluationReport) -> Any:
    for score in SCORES:
        names = (f"{measure}_{score}" for measure in ("auroc", "aupr_out", "fpr95"))
        metrics = tuple(report.metric(name) for name in names)
        yield report.suite, score.replace("_", " "), report.n, metrics


def _steepest(record: Reports) -> EvaluationReport | None:
    """Return the suite beside the main one with the largest area under its risk curve.

    Attacks have a part of the report for themselves.
    """

    def area(report: EvaluationReport) -> float:
        metric = report.metric("aurc")
        return -1.0 if metric is None or metric.value is None else metric.value

    suites = not_attacked(record.suites)
    others = [r for r in suites if r is not record.main and r.risk_coverage]
    return max(others, key=area, default=None)
