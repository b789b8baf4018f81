"""A run in a few lines of plain text: the verdict, its reasons, the numbers with intervals."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline_steps.errors import counted
from pipeline_steps.evaluation_types import EvaluationReport, MetricValue
from pipeline_steps.gate_types import GateDecision
from pipeline_steps.types import UNCOMPARED

_CALIBRATION = "ece"


def summary(reports: Sequence[EvaluationReport], decision: GateDecision) -> str:
    """Return the verdict with its reasons, and a line of headline metrics for each suite.

    The text is meant for a terminal of 100 columns.
    """
    reasons = [f"  - {reason}" for reason in decision.reasons]
    further = [worst_slice_line(report) for report in reports if report.worst_slice is not None]
    further += further_lines(reports)
    gap = [""] if further else []
    return "\n".join(
        [f"Verdict: {decision.verdict}", *reasons, "", *metrics_lines(reports), *gap, *further]
    )


def metrics_lines(reports: Sequence[EvaluationReport]) -> list[str]:
    """Return a header and one line a suite: the headline metrics and the calibration error."""
    reports = [report for report in reports if report.kind not in UNCOMPARED]
    names = (*reports[0].headlines, _CALIBRATION) if reports else ()
    width = max((len(report.suite) for report in reports), default=0)
    header = f"{'suite':{width}s}  {'n':>6s}  " + "  ".join(f"{h:24s}" for h in names)
    lines = [header.rstrip()]
    for report in reports:
        cells = [f"{value_with_interval(report.metric(name)):24s}" for name in names]
        lines.append(f"{report.suite:{width}s}  {report.n:6d}  " + "  ".join(cells).rstrip())
    return lines


def further_lines(reports: Sequence[EvaluationReport]) -> list[str]:
    """Return a line for each report that is no suite: temperature, out of scope, and so on.

    And one for each suite made of test rows that left most of them as they were, and for each mean
    over groups of the clean rows.
    """
    further = [_FURTHER[report.kind](report) for report in reports if report.kind in _FURTHER]
    groups = [line for report in reports if report.kind == "clean" for line in _groups(report)]
    return [*unchanged_lines(reports), *groups, *further]


def unchanged_lines(reports: Sequence[EvaluationReport]) -> list[str]:
    """Return a line for each suite made of test rows that left most of them as they were."""
    before = {"noise": "without the noise", "rewritten": "in the test set"}
    return [
        f"{report.suite}: {report.n_unchanged} of {counted(report.n, 'row')} are as they were "
        f"{before[report.kind]}, so what is lost on it says little of the model"
        for report in reports
        if report.mostly_unchanged
    ]


def worst_slice_line(report: EvaluationReport) -> str:
    """Return the slice of a suite with the lowest first metric, in words."""
    part = report.worst_slice
    if part is None:
        return f"{report.suite}: no slices"
    value = value_with_interval(part.metrics[0])
    return f"worst slice of {report.suite}: {part.column} = {part.value}, {value} (n = {part.n})"


def value_with_interval(metric: MetricValue | None) -> str:
    """Return a value with its interval, or that it is undefined.

    Examples
    --------
    >>> accuracy = MetricValue(name="accuracy", value=0.91, n=9, ci_low=0.88, ci_high=0.93)
    >>> value_with_interval(accuracy)
    '0.910 [0.880, 0.930]'
    """
    if metric is None or metric.value is None:
        return "undefined"
    if metric.ci_low is None or metric.ci_high is None:
        return f"{metric.value:.3f}"
    return f"{metric.value:.3f} [{metric.ci_low:.3f}, {metric.ci_high:.3f}]"


def _temperature(report: EvaluationReport) -> str:
    found = report.metric("temperature")
    before, after = (_point(report.metric(name)) for name in ("ece", "ece_scaled"))
    if found is None or found.value is None:
        return f"temperature on valid: {no_temperature(report.n)}; ece there {before}"
    return f"temperature on valid: {value_with_interval(found)}; ece there {before}, scaled {after}"


def no_temperature(n: int) -> str:
    """Return why there is no temperature, where the fit found none on n valid rows."""
    return (
        f"there is none, because every one of {counted(n, 'row')} is right (surer would always be "
        "better) or the logits say nothing of the truth; nothing is scaled"
    )


def _out_of_scope(report: EvaluationReport) -> str:
    auroc, fpr = (value_with_interval(report.metric(name)) for name in report.headlines)
    return f"out of scope, {report.suite} (n = {report.n}): AUROC {auroc}, FPR at 95 % TPR {fpr}"


def _average(report: EvaluationReport) -> str:
    every, *by_kind = report.averages
    told = [
        f"{found.mean.name} {value_with_interval(found.mean)} over "
        f"{counted(len(found.suites), 'suite')}, {value_with_interval(found.gap)} lost"
        for found in by_kind
    ]
    return (
        f"average of {counted(len(every.suites), 'suite')} (n = {every.mean.n}): {every.mean.name} "
        f"{value_with_interval(every.mean)}, {value_with_interval(every.gap)} lost against the "
        f"clean rows{''.join(f'; {each}' for each in told)}"
    )


def _groups(report: EvaluationReport) -> list[str]:
    return [
        f"{report.suite}, {mean.name.replace('_', ' ')}: {value_with_interval(mean)} (n = {mean.n})"
        for mean in report.group_means
    ]


def _behaviour(report: EvaluationReport) -> str:
    failed = sum(test.n_failed for test in report.behaviour)
    failing = sum(test.n_failed > 0 for test in report.behaviour)
    return (
        f"behaviour: {failed} of {report.n} cases failed, in {failing} of "
        f"{counted(len(report.behaviour), 'test')}"
    )


def _certified(report: EvaluationReport) -> str:
    smoothed, certain = (value_with_interval(report.metric(name)) for name in report.headlines)
    return (
        f"certified (n = {report.n}): smoothed accuracy {smoothed}, of it certain under one edit "
        f"of a word {certain}"
    )


def _ball(report: EvaluationReport) -> str:
    clean, *within = report.metrics
    told = ", ".join(f"{m.name.rpartition('_')[2]}: {value_with_interval(m)}" for m in within)
    norm = within[0].name.split("_")[2].upper()
    return (
        f"moves of word vectors (n = {report.n}): {value_with_interval(clean)} right as they "
        f"stand, at most so many right within {norm} balls of radius {told}; no text stands there"
    )


def _point(metric: MetricValue | None) -> str:
    return "undefined" if metric is None or metric.value is None else f"{metric.value:.3f}"


_FURTHER = {
    "calibration": _temperature,
    "average": _average,
    "out_of_scope": _out_of_scope,
    "behaviour": _behaviour,
    "certified": _certified,
    "embedding_ball": _ball,
}
