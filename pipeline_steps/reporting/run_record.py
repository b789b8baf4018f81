"""What the report of one run is made from, and the rows of its tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline_steps.attack_types import UnderAttack
from pipeline_steps.comparison_types import PairedComparison
from pipeline_steps.evaluation_types import ClassMetrics, EvaluationReport
from pipeline_steps.finding_types import Leaning, RobustnessLine, SeedSpread
from pipeline_steps.gate_types import GateCheck, GateDecision
from pipeline_steps.reporting.training_facts import training_facts
from pipeline_steps.types import UNCOMPARED, Checkpoint, ReportKind, ValidationReport, Value


class Reports(Value):
    """The reports of one model, by what they are asked for."""

    reports: tuple[EvaluationReport, ...]
    comparisons: tuple[PairedComparison, ...] = ()
    under_attack: UnderAttack | None = None
    failures: tuple[Leaning, ...] = ()
    seeds: SeedSpread | None = None
    beside_others: tuple[RobustnessLine, ...] = ()

    @property
    def suites(self) -> tuple[EvaluationReport, ...]:
        """The reports that count right answers."""
        return tuple(report for report in self.reports if report.kind not in UNCOMPARED)

    def of_kind(self, kind: ReportKind) -> tuple[EvaluationReport, ...]:
        """Return the reports of a kind."""
        return tuple(report for report in self.reports if report.kind == kind)

    @property
    def main(self) -> EvaluationReport:
        """The report that details are shown of: the first clean one."""
        return next((r for r in self.reports if r.kind == "clean"), self.reports[0])


class RunRecord(Reports):
    """Everything that the report of one run says."""

    model_name: str
    version: int
    fingerprint: str
    decision: GateDecision
    validation: ValidationReport
    sizes: Mapping[str, int]
    checkpoint: Checkpoint

    def champion_value(self, suite: str) -> float | None:
        """Return the champion's first headline metric on a suite, where the gate compared it."""
        name = f"non-inferiority {suite}/{self.main.headline}"
        return next((c.champion for c in self.decision.checks if c.name == name), None)


def class_totals(report: EvaluationReport) -> list[tuple[str, float, float, float, int]]:
    """Return the rows that the field prints below the classes: macro and weighted averages.

    Each is (name, precision, recall, F1, support); labels that occur in truth or prediction
    count, a ratio 0/0 as 0.
    """
    classes = report.classes
    support = sum(c.support for c in classes)
    if not support:
        return []
    return [
        ("macro average, all", *_averages(classes, [1] * len(classes)), support),
        ("weighted average, all", *_averages(classes, [c.support for c in classes]), support),
    ]


def check_cells(check: GateCheck) -> dict[str, str]:
    """Return what the gate's table says of one check, as text.

    A floor carries the interval of the metric, the other checks that of the difference.
    """
    bounds = ""
    if check.ci_low is not None and check.ci_high is not None:
        sign = "+" if check.champion is not None else ""
        bounds = f"[{check.ci_low:{sign}.3f}, {check.ci_high:{sign}.3f}]"
    difference = ""
    if check.candidate is not None and check.champion is not None:
        difference = f"{check.candidate - check.champion:+.3f}"
    return {
        "candidate": _number(check.candidate),
        "champion": _number(check.champion),
        "difference": difference,
        "interval": bounds,
        "bound": _number(check.margin),
    }


def provenance_facts(record: RunRecord) -> list[tuple[str, Any]]:
    """Return where the version comes from, as named values; what is unknown is left out."""
    checkpoint, origin = record.checkpoint, record.checkpoint.provenance
    training = checkpoint.training
    changed = " (with uncommitted changes)" if origin.git_dirty else ""
    facts = [
        ("base model", checkpoint.base_model),
        ("base digest", checkpoint.base_digest),
        ("checkpoint digest", checkpoint.digest),
        ("champion compared with", record.decision.champion_digest),
        ("train digest", checkpoint.train_digest),
        ("valid digest", checkpoint.valid_digest),
        ("fingerprint", record.fingerprint),
        ("policy digest", record.decision.policy_digest),
        ("code version", origin.code_version),
        ("git commit", f"{origin.git_commit}{changed}" if origin.git_commit else None),
        ("dvc.lock", origin.lock_digest),
        ("trained", _pair(training, "n_trainable", "n_parameters", "{:,} of {:,} weights")),
        ("steps", _pair(training, "steps", "steps_planned", "{} of {}")),
        ("best step", training.get("best_step")),
        *training_facts(training),
        ("precision", _pair(training, "precision", "device", "{} on {}")),
        ("rows cut at max_length", training.get("n_truncated")),
        ("made", f"{origin.created_at}, Holdfast {origin.holdfast_version}"),
        ("Python", f"{origin.python}, {origin.platform}"),
        ("libraries", ", ".join(f"{k} {v}" for k, v in origin.libraries.items()) or None),
    ]
    return [(name, value) for name, value in facts if value is not None]


def parameter_rows(parameters: Mapping[str, Any], section: str = "") -> Iterator[tuple[str, str]]:
    """Yield names and values as they are written in ``params.yaml``, sections with a dot.

    Examples
    --------
    >>> dict(parameter_rows({"tuning": {"kind": "full", "bias": True}, "epochs": None}))
    {'tuning.kind': 'full', 'tuning.bias': 'true', 'epochs': 'null'}
    """
    for name, value in parameters.items():
        if isinstance(value, Mapping) and value:
            yield from parameter_rows(value, f"{section}{name}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield f"{section}{name}", text


def _averages(
    classes: Sequence[ClassMetrics], weights: Sequence[int]
) -> tuple[float, float, float]:
    """Return weighted means of precision, recall and F1."""
    total = sum(weights)
    pairs = list(zip(classes, weights, strict=True))
    return (
        sum(c.precision * w for c, w in pairs) / total,
        sum(c.recall * w for c, w in pairs) / total,
        sum(c.f1 * w for c, w in pairs) / total,
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _pair(values: Mapping[str, Any], first: str, second: str, text: str) -> str | None:
    if values.get(first) is None or values.get(second) is None:
        return None
    return text.format(values[first], values[second])
