"""Tables for Prefect's artifacts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline_steps.evaluation_types import EvaluationReport, MetricValue
from pipeline_steps.gate_types import GateDecision
from pipeline_steps.registry.approvals import Approval
from pipeline_steps.types import ValidationReport


def validation_table(report: ValidationReport) -> str:
    """Return what validation kept and set aside, by reason."""
    rows = [["kept", report.n_kept], *sorted(report.quarantined.items())]
    verdict = "passed" if report.success else "blocked: " + "; ".join(report.blocked_because)
    return f"## Validation {verdict}\n\n" + _table(["rows", "count"], rows)


def metrics_table(reports: Sequence[EvaluationReport]) -> str:
    """Return every metric of every suite with its interval and sample size."""
    rows = [
        [report.suite, metric.name, interval(metric), metric.n]
        for report in reports
        for metric in report.every_metric
    ]
    return "## Metrics\n\n" + _table(["suite", "metric", "value", "n"], rows)


def decision_table(decision: GateDecision) -> str:
    """Return the gate's verdict, its reasons and every check."""
    rows = [
        [check.name, "yes" if check.passed else "**no**", check.reason] for check in decision.checks
    ]
    reasons = "\n".join(f"- {reason}" for reason in decision.reasons)
    return f"## {decision.verdict}\n\n{reasons}\n\n" + _table(["check", "passed", "reason"], rows)


def approval_text(request: Approval) -> str:
    """Return what a person needs who decides about a version: the report first."""
    return (
        f"## Version {request.version} waits for a person\n\n"
        f"{_link(str(request.request.evidence['report']))}; asked by {request.request.actor}, "
        f"refused by itself on {request.expires_at:%Y-%m-%d %H:%M} UTC.\n\n"
        f"Resume this run with an answer, or: `holdfast approve {request.version}` "
        "(the only way where register.approval is four_eyes), "
        f"`holdfast refuse {request.version}`\n"
    )


def report_link(report: Path | str) -> str:
    """Return where the report of a run lies, and what is beside it."""
    return (
        f"## The report\n\n{_link(str(report))} of this run; its data lie beside it in "
        "`report.json`, and both are kept with the MLflow run.\n"
    )


def _link(report: str) -> str:
    """Return a link to a report; one whose place is no path of a machine is named as it is."""
    return f"[The report]({Path(report).as_uri() if Path(report).is_absolute() else report})"


def interval(metric: MetricValue) -> str:
    """Return a value with its interval, or that it is undefined.

    Examples
    --------
    >>> interval(MetricValue(name="accuracy", value=0.91, n=500, ci_low=0.88, ci_high=0.93))
    '0.910 [0.880, 0.930]'
    """
    if metric.value is None:
        return "undefined"
    if metric.ci_low is None or metric.ci_high is None:
        return f"{metric.value:.3f}"
    return f"{metric.value:.3f} [{metric.ci_low:.3f}, {metric.ci_high:.3f}]"


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
