"""What a finished run leaves: its result, decision, reports and files; found again and read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows.evidence import EVIDENCE, EVIDENCE_FILE
from flows.findings import EVALUATION_FILE
from flows.registry_access import champion_version, open_ledger, open_tracker
from flows.training_plan import TrainingPlan
from flows.version_card import CARD_FILES
from flows.workspace import REPORT_FILE, Workspace
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.gate_types import GateDecision, Verdict
from pipeline_steps.registry.ledger_chain import LedgerEntry
from pipeline_steps.registry.verdicts import decision_of, last_verdict
from pipeline_steps.types import Value

RESULT_FILE = "result.json"
DECISION_FILE = "decision.json"
RECORD_FILE = "report.json"
KEPT_FILES = (
    *(DECISION_FILE, EVALUATION_FILE, EVIDENCE_FILE, RECORD_FILE, REPORT_FILE, RESULT_FILE),
    *CARD_FILES,
)


class TrainResult(Value):
    """What ``holdfast train --json`` prints; the fields are a contract."""

    fingerprint: str
    version: int
    verdict: Verdict
    reused: bool
    metrics: dict[str, dict[str, Any]]
    report: str
    seconds: float


def find_finished(workspace: Workspace, plan: TrainingPlan) -> TrainResult | None:
    """Return the result of a finished run with this fingerprint, or ``None``.

    One whose verdict does not stand any more is none: it is judged anew.
    """
    tracker = open_tracker(workspace)
    run = tracker.find_run(plan.fingerprint)
    if run is None or not run.finished:
        return None
    directory = workspace.run_directory(plan.fingerprint)
    if not _is_complete(directory):
        tracker.download_files(run.mlflow_run_id, into=directory)
        tracker.download_files(run.mlflow_run_id, into=directory / EVIDENCE, under=EVIDENCE)
    if not _is_complete(directory):  # removed by hand, here and there: the run is finished anew
        return None
    kept = (directory / DECISION_FILE).read_text(encoding="utf-8")
    said = GateDecision.model_validate_json(kept)
    entry = standing_verdict(workspace, plan.fingerprint, said.candidate_digest)
    if entry is None or entry.evidence["verdict"] != said.verdict:
        return None
    text = (directory / RESULT_FILE).read_text(encoding="utf-8")
    here = {"reused": True, "report": str(directory / REPORT_FILE)}
    return TrainResult.model_validate_json(text).model_copy(update=here)


def standing_verdict(
    workspace: Workspace, fingerprint: str, candidate_digest: str
) -> LedgerEntry | None:
    """Return the ledger's last verdict on a candidate if it is a run's own and still holds.

    Of one candidate several runs may have judged, each by a policy and evidence of its own: the
    last verdict is what a promotion asks, so no earlier one answers for it. It holds where it was
    made against today's champion, or made its candidate that.
    """
    name = workspace.params.register_.model_name
    entry = last_verdict(open_ledger(workspace), name, candidate_digest)
    if entry is None or entry.evidence.get("fingerprint") != fingerprint:
        return None
    version, decision = champion_version(workspace), decision_of(entry)
    today = None if version is None else version.checkpoint_digest
    return entry if today in (decision.champion_digest, decision.candidate_digest) else None


def _is_complete(directory: Path) -> bool:
    return all((directory / name).exists() for name in KEPT_FILES)


def read_reports(
    workspace: Workspace, result: TrainResult
) -> tuple[list[EvaluationReport], GateDecision]:
    """Return the evaluation reports and the decision of a run."""
    directory = workspace.run_directory(result.fingerprint)
    reports = json.loads((directory / EVALUATION_FILE).read_text(encoding="utf-8"))
    decision = (directory / DECISION_FILE).read_text(encoding="utf-8")
    return (
        [EvaluationReport.model_validate(report) for report in reports],
        GateDecision.model_validate_json(decision),
    )


def flatten_metrics(reports: Sequence[EvaluationReport]) -> dict[str, dict[str, Any]]:
    """Return ``{"<suite>/<metric>": {value, n, ci_low, ci_high, greater_is_better}}``."""
    return {
        f"{report.suite}/{metric.name}": metric.model_dump(exclude={"name"})
        for report in reports
        for metric in report.every_metric
    }
