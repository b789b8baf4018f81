"""The report of a retrain: what asked for it, what was added, and whether the window is fixed."""

from __future__ import annotations

from pipeline_steps.gate_types import GateCheck, Repair, Verdict
from pipeline_steps.reporting.report import environment
from pipeline_steps.types import Value

_MEANINGS = {
    "FIXED": "The window that asked for it is fixed.",
    "IMPROVED": "The window is better, and not yet as good as the test set.",
    "NOT_FIXED": "The window is not fixed.",
}


class RetrainRecord(Value):
    """Everything that the report of a retrain says; ``elsewhere``: what it cost on other suites."""

    model_name: str
    trigger: str
    kind: str
    ticket: str | None
    admitted_at: str
    reason: str
    learnt_from: str
    n_window: int
    dataset_digest: str
    champion: int
    version: int
    gate: Verdict
    repair: Repair
    elsewhere: tuple[GateCheck, ...]
    seconds: float
    run_report: str


def render_retrain(record: RetrainRecord) -> str:
    """Return the report as HTML that needs nothing else."""
    template = environment().get_template("retrain.html")
    return template.render(record=record, meaning=_MEANINGS[record.repair.verdict])
