"""The report of a run: one HTML file that needs nothing else, what matters first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline_steps.reporting.charts import curve_chart, interval_chart, reliability_chart
from pipeline_steps.reporting.summary import value_with_interval, worst_slice_line
from pipeline_steps.types import (
    Checkpoint,
    EvaluationReport,
    GateDecision,
    MetricValue,
    ValidationReport,
    Value,
)

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent / "templates"
_MAX_CLASSES = 200


class RunRecord(Value):
    """Everything that the report of one run says."""

    model_name: str
    version: int
    fingerprint: str
    reports: tuple[EvaluationReport, ...]
    decision: GateDecision
    validation: ValidationReport
    sizes: Mapping[str, int]
    checkpoint: Checkpoint


def render_report(record: RunRecord) -> str:
    """Return the report as HTML: verdict and reasons, metrics, checks, slices, data, provenance."""
    template = _environment().get_template("report.html")
    main = record.reports[0]
    return template.render(
        record=record,
        main=main,
        intervals=interval_chart(_accuracies(record.reports), _axis_start(record.reports), 1.0),
        reliability=reliability_chart(main),
        curve=curve_chart(_training_curve(record.checkpoint), "validation accuracy"),
        worst=[worst_slice_line(r) for r in record.reports if r.worst_slice is not None],
        classes=sorted(main.classes, key=lambda c: c.f1)[:_MAX_CLASSES],
        facts=_facts(record),
    )


def _accuracies(reports: tuple[EvaluationReport, ...]) -> list[tuple[str, MetricValue]]:
    named = [(report.suite, report.metric("accuracy")) for report in reports]
    return [(suite, metric) for suite, metric in named if metric is not None]


def _axis_start(reports: tuple[EvaluationReport, ...]) -> float:
    """Return where the axis begins: the tenth below the lowest interval."""
    lows = [metric.ci_low for _, metric in _accuracies(reports) if metric.ci_low is not None]
    return max(0.0, int(min(lows, default=0.0) * 10) / 10)


def _training_curve(checkpoint: Checkpoint) -> list[tuple[float, float]]:
    history = checkpoint.training.get("history", [])
    return [(float(point["step"]), float(point["accuracy"])) for point in history]


def _facts(record: RunRecord) -> list[tuple[str, Any]]:
    """Return where the version comes from, as named values."""
    checkpoint, origin = record.checkpoint, record.checkpoint.provenance
    training = checkpoint.training
    return [
        ("base model", checkpoint.base_model),
        ("base digest", checkpoint.base_digest),
        ("checkpoint digest", checkpoint.digest),
        ("train digest", checkpoint.train_digest),
        ("fingerprint", record.fingerprint),
        ("policy digest", record.decision.policy_digest),
        ("method", checkpoint.parameters.get("method")),
        (
            "learning rate",
            f"{training.get('learning_rate')}, head {training.get('head_learning_rate')}",
        ),
        ("steps", f"{training.get('steps')} of {training.get('steps_planned')}"),
        ("best step", training.get("best_step")),
        ("precision", f"{training.get('precision')} on {training.get('device')}"),
        (
            "parameters",
            f"{training.get('n_trainable'):,} of {training.get('n_parameters'):,} trained",
        ),
        ("rows cut at max_length", training.get("n_truncated")),
        ("seed", checkpoint.parameters.get("seed")),
        ("code version", origin.code_version),
        ("git commit", f"{origin.git_commit or 'none'}{' (changed)' if origin.git_dirty else ''}"),
        (
            "made",
            f"{origin.created_at}, Python {origin.python}, Holdfast {origin.holdfast_version}",
        ),
    ]


def _environment() -> Environment:
    """Return the templates; everything that comes from data is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["interval"] = value_with_interval
    return environment
