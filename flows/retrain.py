"""Trigger -> admission -> new dataset version -> candidate -> gate -> promotion -> repaired or not.

Every step can be repeated: a trigger has one id, its rows are written once, the run behind it is
addressed by its fingerprint, and the ledger says how far it came. Killed at any point, the same
trigger or the next sweep goes on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.pipeline import Call, call_directly, say
from flows.prepare_data import prepare_data
from flows.registry_access import open_ledger
from flows.results import TrainResult, read_reports
from flows.retraining.dataset_version import (
    DatasetVersion,
    RawFields,
    add_dataset_version,
    fresh_rows,
    withdraw_dataset_version,
)
from flows.retraining.material import (
    Material,
    retrain_directory,
    retrain_material,
    retrain_params,
    window_axis,
)
from flows.retraining.sentences import elsewhere, sentence
from flows.retraining.triggers import Trigger, ask, labelled_rows
from flows.train import finished_run
from flows.training_cost import measured, read_cost
from flows.training_plan import plan_training
from flows.workspace import Workspace, locked
from pipeline_steps.errors import HoldfastError
from pipeline_steps.files import write_text_atomically
from pipeline_steps.gate_types import Repair
from pipeline_steps.registry.ledger import LedgerEntry
from pipeline_steps.registry.repair import judge_repair
from pipeline_steps.registry.retrain_history import (
    ADMITTED,
    FAILED,
    FINISHED,
    RESUMED,
    last_of,
)
from pipeline_steps.reporting.retrain_report import RetrainRecord, render_retrain
from pipeline_steps.types import Value

_REPORT = "report.html"
_RESULT = "result.json"


class RetrainResult(Value):
    """What ``holdfast retrain --json`` prints; the fields are a contract.

    ``answer`` is RETRAIN, WAIT, REFUSE or NO_NEW_EVIDENCE; what follows ``reason`` is null where
    nothing was retrained.
    """

    trigger: str
    answer: str
    reason: str
    reused: bool = False
    dataset: DatasetVersion | None = None
    run: TrainResult | None = None
    repair: Repair | None = None
    report: str | None = None
    seconds: float = 0.0


def retrain(
    workspace: Workspace,
    trigger: Trigger,
    *,
    call: Call = call_directly,
    now: datetime | None = None,
) -> RetrainResult:
    """Return what became of a trigger; a finished one is not done again.

    Raises
    ------
    BusyError
        If another command holds the workspace; nothing was admitted then.
    HoldfastError
        If a step refuses. The ledger then says that the retrain failed; an interrupt or a kill
        leaves it admitted, and it goes on at the next call.
    """
    with locked(workspace):
        rows = _gathered(workspace, trigger, call)
        entry = call(ask, workspace, trigger, rows, now=now or datetime.now(UTC))
        name = str(entry.evidence["trigger"])
        if entry.event == FINISHED:
            return _finished(workspace, name)
        if entry.event != ADMITTED:
            answer = str(entry.evidence["answer"])
            return RetrainResult(trigger=name, answer=answer, reason=entry.reason)
        return _admitted(workspace, entry, rows, call)


def _gathered(workspace: Workspace, trigger: Trigger, call: Call) -> list[RawFields]:
    """Return the labelled rows of a trigger; one that was admitted and has none has failed."""
    try:
        return call(labelled_rows, workspace, trigger)
    except HoldfastError as error:
        if trigger.name is not None:  # nobody is to wait for it
            _close(workspace, FAILED, trigger.name, f"failed: {error.received}", {})
        raise


def _admitted(
    workspace: Workspace, entry: LedgerEntry, rows: Sequence[RawFields], call: Call
) -> RetrainResult:
    """Return the result of an admitted trigger, or write to the ledger that it failed."""
    try:
        with measured(_cost_path(workspace, entry)):
            return _run(workspace, entry, rows, call)
    except HoldfastError as error:
        taken = {"minutes": _minutes(_seconds(workspace, entry))}
        trigger = str(entry.evidence["trigger"])
        _withdraw(workspace, trigger)
        _close(workspace, FAILED, trigger, f"failed: {error.received}", taken)
        raise


def _withdraw(workspace: Workspace, trigger: str) -> None:
    """Take back what a trigger that failed has added; the next one does what cannot be done now."""
    try:
        withdraw_dataset_version(workspace, trigger)
    except (HoldfastError, OSError) as error:
        say(f"holdfast: the rows of {trigger} could not be taken back: {error}")


def resume_triggers(workspace: Workspace, reason: str) -> None:
    """Write to the ledger that a person has looked and triggers may be admitted again."""
    open_ledger(workspace).append(
        RESUMED,
        model_name=workspace.params.register_.model_name,
        actor=workspace.settings.actor,
        reason=reason,
        evidence={},
    )


def _run(
    workspace: Workspace, entry: LedgerEntry, rows: Sequence[RawFields], call: Call
) -> RetrainResult:
    """Return the result of an admitted trigger: from labelled rows to the verdict on the repair."""
    started, earlier = time.perf_counter(), _seconds(workspace, entry)
    name = str(entry.evidence["trigger"])
    version = call(add_dataset_version, workspace, name, fresh_rows(workspace, rows, name))
    datasets = prepare_data(workspace, call=call)
    material = call(retrain_material, workspace, datasets, version)
    params = call(retrain_params, workspace, material, int(entry.evidence["champion"]))
    as_retrained = replace(workspace, params=params)
    run = _candidate(as_retrained, material, call)
    repair = call(judge_window, as_retrained, run)
    seconds = round(earlier + time.perf_counter() - started, 2)
    result = RetrainResult(
        trigger=name,
        answer="RETRAIN",
        reason=entry.reason,
        dataset=version,
        run=run,
        repair=repair,
        report=str(retrain_directory(workspace, name) / _REPORT),
        seconds=seconds,
    )
    call(record_retrain, workspace, entry, result)
    return result


def _candidate(workspace: Workspace, material: Material, call: Call) -> TrainResult:
    plan = call(plan_training, workspace, material.datasets)
    return finished_run(workspace, material.datasets, plan, call=call)


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
        n_train=result.dataset.n_train,
        n_window=result.dataset.n_window,
        dataset_digest=result.dataset.digest,
        champion=int(entry.evidence["champion"]),
        version=result.run.version,
        gate=result.run.verdict,
        repair=result.repair,
        elsewhere=tuple(elsewhere(decision, result.repair.axis)),
        seconds=result.seconds,
        run_report=result.run.report,
    )
    write_text_atomically(directory / _REPORT, render_retrain(record))
    write_text_atomically(directory / _RESULT, result.model_dump_json(indent=2))
    promoted = _is_champion(workspace, result.run.version)
    evidence = {"promoted": promoted, **_evidence(result)}
    _close(workspace, FINISHED, result.trigger, sentence(record), evidence)


def _evidence(result: RetrainResult) -> dict[str, Any]:
    run, repair, dataset = result.run, result.repair, result.dataset
    return {
        "version": None if run is None else run.version,
        "fingerprint": None if run is None else run.fingerprint,
        "dataset": None if dataset is None else dataset.digest,
        "repair": None if repair is None else repair.model_dump(mode="json"),
        "minutes": _minutes(result.seconds),
    }


def _cost_path(workspace: Workspace, entry: LedgerEntry) -> Path:
    """Return the file for what one admission cost: in several parts where it was interrupted."""
    name = str(entry.evidence["trigger"])
    return retrain_directory(workspace, name) / f"cost-{entry.sequence}.json"


def _seconds(workspace: Workspace, entry: LedgerEntry) -> float:
    cost = read_cost(_cost_path(workspace, entry))
    return 0.0 if cost is None else cost.wall_seconds


def _minutes(seconds: float) -> float:
    return round(seconds / 60, 3)


def _close(
    workspace: Workspace, event: str, trigger: str, reason: str, evidence: dict[str, Any]
) -> None:
    open_ledger(workspace).append(
        event,
        model_name=workspace.params.register_.model_name,
        actor=workspace.settings.actor,
        reason=reason,
        evidence={"trigger": trigger, **evidence},
    )


def _finished(workspace: Workspace, trigger: str) -> RetrainResult:
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
