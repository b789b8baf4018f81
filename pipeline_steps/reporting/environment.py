"""The templates of all pages, and how they write numbers and names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline_steps.evaluation_types import MetricValue
from pipeline_steps.reporting.attack_tables import transfer_onto
from pipeline_steps.reporting.summary import value_with_interval

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_TEMPLATES = Path(__file__).parent / "templates"
_SMALLEST_P = 0.0001
_NAMES = {
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "weighted_f1": "weighted F1",
    "entity_f1": "entity F1",
    "nll": "NLL",
    "brier": "Brier",
    "ece": "ECE",
    "ece_scaled": "ECE scaled",
    "nll_scaled": "NLL scaled",
    "brier_scaled": "Brier scaled",
    "adaptive_ece": "adaptive ECE",
    "classwise_ece": "classwise ECE",
    "aurc": "AURC",
    "e_aurc": "E-AURC",
    "coverage_at_5_error": "coverage at 5 % error",
    "risk_at_80_coverage": "risk at 80 % coverage",
    "risk_at_90_coverage": "risk at 90 % coverage",
    "certified_accuracy_1": "certain under 1 edit",
    "certified_accuracy_2": "certain under 2 edits",
    "certified_accuracy_5": "certain under 5 edits",
    "macro_f1_gap": "macro-F1 gap",
    "entity_f1_gap": "entity F1 gap",
}


def metric_name(name: str) -> str:
    """Return a metric's name as people write it.

    Examples
    --------
    >>> metric_name("entity_f1"), metric_name("token_accuracy")
    ('entity F1', 'token accuracy')
    """
    return _NAMES.get(name, name.replace("_", " "))


def p_value(p: float | None) -> str:
    """Return a p-value as a page shows it, which is never 0; empty where there is none.

    Examples
    --------
    >>> p_value(3e-12), p_value(0.0321), p_value(None)
    ('< 0.0001', '0.0321', '')
    """
    if p is None:
        return ""
    return f"< {_SMALLEST_P}" if p < _SMALLEST_P else f"{p:.4f}"


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


def environment() -> Environment:
    """Return the templates; everything that comes from data is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    made = Environment(
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
        "p_value": p_value,
        "onto": transfer_onto,
    }
    made.filters.update(filters)
    return made
