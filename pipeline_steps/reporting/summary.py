"""A run in a few lines of plain text: the verdict, its reasons, the numbers with intervals."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline_steps.types import EvaluationReport, GateDecision, MetricValue

_CALIBRATION = "ece"


def summary(reports: Sequence[EvaluationReport], decision: GateDecision) -> str:
    """Return the verdict with its reasons, and a line of headline metrics for each suite.

    The text is meant for a terminal of 100 columns.
    """
    reasons = [f"  - {reason}" for reason in decision.reasons]
    worst = [worst_slice_line(report) for report in reports if report.worst_slice is not None]
    gap = [""] if worst else []
    return "\n".join(
        [f"Verdict: {decision.verdict}", *reasons, "", *metrics_lines(reports), *gap, *worst]
    )


def metrics_lines(reports: Sequence[EvaluationReport]) -> list[str]:
    """Return a header and one line a suite: the headline metrics and the calibration error."""
    names = (*reports[0].headlines, _CALIBRATION) if reports else ()
    width = max((len(report.suite) for report in reports), default=0)
    header = f"{'suite':{width}s}  {'n':>6s}  " + "  ".join(f"{h:24s}" for h in names)
    lines = [header.rstrip()]
    for report in reports:
        cells = [f"{value_with_interval(report.metric(name)):24s}" for name in names]
        lines.append(f"{report.suite:{width}s}  {report.n:6d}  " + "  ".join(cells).rstrip())
    return lines


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
