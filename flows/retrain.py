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

from flows.pipeline import Call, call_directly, say
from flows.prepare_data import prepare_data
from flows.registry_access import open_ledger
from flows.retraining.dataset_version import (
    RawFields,
    add_dataset_version,
    fresh_rows,
    withdraw_dataset_version,
)
from flows.retraining.kept_material import keep_material
from flows.retraining.material import retrain_directory, retrain_material, retrain_params
from flows.retraining.recording import (
    REPORT,
    RetrainResult,
    close_trigger,
    finished_result,
    judge_window,
    minutes_of,
    record_retrain,
)
from flows.retraining.triggers import Trigger, ask, labelled_rows
from flows.train import finished_run
from flows.training_cost import measured, read_cost
from flows.training_plan import plan_training
from flows.workspace import Workspace, locked
from pipeline_steps.errors import HoldfastError
from pipeline_steps.registry.ledger import LedgerEntry
from pipeline_steps.registry.retrain_history import (
    ADMITTED,
    FAILED,
    FINISHED,
    RESUMED,
)


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
            return finished_result(workspace, name)
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
            close_trigger(workspace, FAILED, trigger.name, f"failed: {error.received}", {})
        raise


def _admitted(
    workspace: Workspace, entry: LedgerEntry, rows: Sequence[RawFields], call: Call
) -> RetrainResult:
    """Return the result of an admitted trigger, or write to the ledger that it failed."""
    try:
        with measured(_cost_path(workspace, entry)):
            return _run(workspace, entry, rows, call)
    except HoldfastError as error:
        taken = {"minutes": minutes_of(_seconds(workspace, entry))}
        trigger = str(entry.evidence["trigger"])
        _withdraw(workspace, trigger)
        close_trigger(workspace, FAILED, trigger, f"failed: {error.received}", taken)
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
    champion = int(entry.evidence["champion"])
    params = call(retrain_params, workspace, material, champion)
    as_retrained = replace(workspace, params=params)
    plan = call(plan_training, as_retrained, material.datasets)
    run = finished_run(as_retrained, material.datasets, plan, call=call)
    call(keep_material, as_retrained, material, champion, run.fingerprint)
    repair = call(judge_window, as_retrained, run)
    seconds = round(earlier + time.perf_counter() - started, 2)
    result = RetrainResult(
        trigger=name,
        answer="RETRAIN",
        reason=entry.reason,
        dataset=version,
        left_out=material.left_out,
        run=run,
        repair=repair,
        report=str(retrain_directory(workspace, name) / REPORT),
        seconds=seconds,
    )
    call(record_retrain, workspace, entry, result)
    return result


def _cost_path(workspace: Workspace, entry: LedgerEntry) -> Path:
    """Return the file for what one admission cost: in several parts where it was interrupted."""
    name = str(entry.evidence["trigger"])
    return retrain_directory(workspace, name) / f"cost-{entry.sequence}.json"


def _seconds(workspace: Workspace, entry: LedgerEntry) -> float:
    cost = read_cost(_cost_path(workspace, entry))
    return 0.0 if cost is None else cost.wall_seconds
