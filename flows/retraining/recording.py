"""What became of a trigger: judged, written to a report, a result and the ledger, read again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flows.registry_access import open_ledger
from flows.results import TrainResult, read_reports
from flows.retraining.dataset_version import DatasetVersion
from flows.retraining.left_out import describe_left_out
from flows.retraining.material import retrain_directory, window_axis
from flows.workspace import Workspace
from pipeline_steps.files import write_text_atomically
from pipeline_steps.gate_types import GateCheck, GateDecision, Repair
from pipeline_steps.registry.ledger import LedgerEntry
from pipeline_steps.registry.repair import judge_repair
from pipeline_steps.registry.retrain_history import FINISHED, last_of
from pipeline_steps.reporting.retrain_report import RetrainRecord, render_retrain
from pipeline_steps.types import Value

REPORT = "report.html"
_RESULT = "result.json"
_NOT_WORSE = "non-inferiority "
_SLICE = " where "  # between the metric and the slice in the name of a check


class RetrainResult(Value):
    """What ``holdfast retrain --json`` prints; the fields are a contract.

    ``answer`` is RETRAIN, WAIT, REFUSE or NO_NEW_EVIDENCE; what follows ``reason`` is null where
    nothing was retrained. ``left_out`` counts new rows that the data stages set aside, by reason.
    """

    trigger: str
    answer: str
    reason: str
    reused: bool = False
    dataset: DatasetVersion | None = None
    left_out: dict[str, int] | None = None
    run: TrainResult | None = None
    repair: Repair | None = None
    report: str | None = None
    seconds: float = 0.0


def judge_window(workspace: Workspace, run: TrainResult) -> Repair:
    """Return whether the window is fixed: champion before against after on held-back rows."""
    reports, decision = read_reports(workspace, run)
    within = workspace.params.retrain.repaired_within
    found = judge_repair(decision, reports, window_axis(workspace.params), within)
    if found.verdict == "NOT_FIXED" or _is_champion(workspace, run.version):
        return found
    waits = f"version {run.version} is fit to be champion, and a person has not let it"
    return found.model_copy(update={"verdict": "NOT_FIXED", "reason": waits})


def _is_champion(workspace: Workspace, version: int) -> bool:
    return open_ledger(workspace).champion(workspace.params.register_.model_name) == version


def record_retrain(workspace: Workspace, entry: LedgerEntry, result: RetrainResult) -> None:
    """Write report and result, then to the ledger that the trigger has ended."""
    if result.run is None or result.repair is None or result.dataset is None:
        raise ValueError("an unfinished retrain cannot be recorded")
    directory = retrain_directory(workspace, result.trigger)
    _, decision = read_reports(workspace, result.run)
    record = RetrainRecord(
        model_name=workspace.params.register_.model_name,
        trigger=result.trigger,
        kind=str(entry.evidence["kind"]),
        ticket=entry.evidence["ticket"],
        admitted_at=entry.created_at,
        reason=entry.reason,
        learnt_from=describe_left_out(result.dataset.n_train, result.left_out or {}),
        n_window=result.dataset.n_window,
        dataset_digest=result.dataset.digest,
        champion=int(entry.evidence["champion"]),
        version=result.run.version,
        gate=result.run.verdict,
        repair=result.repair,
        elsewhere=tuple(_elsewhere(decision, result.repair.axis)),
        seconds=result.seconds,
        run_report=result.run.report,
    )
    write_text_atomically(directory / REPORT, render_retrain(record))
    write_text_atomically(directory / _RESULT, result.model_dump_json(indent=2))
    promoted = _is_champion(workspace, result.run.version)
    evidence = {"promoted": promoted, **_evidence(result)}
    close_trigger(workspace, FINISHED, result.trigger, _sentence(record), evidence)


def _elsewhere(decision: GateDecision, axis: str) -> Iterator[GateCheck]:
    """Yield what the gate asked about every suite but the window; slices stand in its report."""
    for check in decision.checks:
        asked = check.name.removeprefix(_NOT_WORSE)
        if asked not in (check.name, axis) and _SLICE not in asked:
            yield check


def _sentence(record: RetrainRecord) -> str:
    repair = record.repair
    moved = f"{moved_by(repair, 4)}; version {record.version}: {record.gate}"
    return f"{repair.verdict}: {repair.axis} {moved}; learnt from {record.learnt_from}"


def moved_by(repair: Repair, digits: int) -> str:
    """Return the metric before and after; before is not known where nothing was compared."""
    after = "undefined" if repair.after is None else f"{repair.after:.{digits}f}"
    if repair.before is None:
        return f"{after} on {repair.n} held-back rows, not compared with the champion"
    return f"{repair.before:.{digits}f} to {after} on {repair.n} held-back rows"


def _evidence(result: RetrainResult) -> dict[str, Any]:
    run, repair, dataset = result.run, result.repair, result.dataset
    return {
        "version": None if run is None else run.version,
        "fingerprint": None if run is None else run.fingerprint,
        "dataset": None if dataset is None else dataset.digest,
        "repair": None if repair is None else repair.model_dump(mode="json"),
        "minutes": minutes_of(result.seconds),
    }


def finished_result(workspace: Workspace, trigger: str) -> RetrainResult:
    """Return the result of a finished trigger from its file, or as much as the ledger knows."""
    path = retrain_directory(workspace, trigger) / _RESULT
    if path.exists():
        found = RetrainResult.model_validate_json(path.read_text(encoding="utf-8"))
        return found.model_copy(update={"reused": True})
    entries = open_ledger(workspace).entries(workspace.params.register_.model_name)
    entry = last_of(entries, trigger)
    if entry is None:
        raise ValueError(f"{trigger} has not finished")
    repair = Repair.model_validate(entry.evidence["repair"])
    return RetrainResult(
        trigger=trigger, answer="RETRAIN", reason=entry.reason, reused=True, repair=repair
    )


def close_trigger(
    workspace: Workspace, event: str, trigger: str, reason: str, evidence: dict[str, Any]
) -> None:
    """Write to the ledger that a trigger has ended: finished, or failed."""
    open_ledger(workspace).append(
        event,
        model_name=workspace.params.register_.model_name,
        actor=workspace.settings.actor,
        reason=reason,
        evidence={"trigger": trigger, **evidence},
    )


def minutes_of(seconds: float) -> float:
    """Return seconds as the ledger keeps them."""
    return round(seconds / 60, 3)
