"""What the report and the ledger say of a retrain that has ended."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline_steps.gate_types import GateCheck, GateDecision
from pipeline_steps.reporting.retrain_report import RetrainRecord

_NOT_WORSE = "non-inferiority "
_SLICE = " where "  # between the metric and the slice in the name of a check


def elsewhere(decision: GateDecision, axis: str) -> Iterator[GateCheck]:
    """Yield what the gate asked about every suite but the window; slices stand in its report."""
    for check in decision.checks:
        asked = check.name.removeprefix(_NOT_WORSE)
        if asked not in (check.name, axis) and _SLICE not in asked:
            yield check


def sentence(record: RetrainRecord) -> str:
    """Return how a retrain ended, in one sentence for the ledger."""
    repair = record.repair
    moved = f"{_number(repair.before)} to {_number(repair.after)} on {repair.n} held-back rows"
    return f"{repair.verdict}: {repair.axis} {moved}; version {record.version}: {record.gate}"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
