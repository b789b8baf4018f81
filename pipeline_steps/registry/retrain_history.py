"""What the ledger tells of retrains: who was admitted, what has not ended, how the others ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pipeline_steps.registry.approvals import APPROVAL_EVENTS, approvals_in
from pipeline_steps.registry.champions import version_of
from pipeline_steps.registry.ledger import CHAMPION_MOVED
from pipeline_steps.registry.ledger_chain import LedgerEntry
from pipeline_steps.retrain_runs import Outcome, RetrainRun

ADMITTED, WAITS = "retrain_admitted", "retrain_not_admitted"
FINISHED, FAILED, RESUMED = "retrain_finished", "retrain_failed", "retrain_resumed"
EVENTS = (ADMITTED, WAITS, FINISHED, FAILED, RESUMED)
TOLD = (*EVENTS, CHAMPION_MOVED, *APPROVAL_EVENTS)
"""What the past of retrains is read from: a version may become champion after its retrain ended."""
_ENDS = (FINISHED, FAILED)


def last_of(entries: Sequence[LedgerEntry], trigger: str) -> LedgerEntry | None:
    """Return the last entry that admits or ends a trigger; ``None`` before the first."""
    found = [
        entry
        for entry in entries
        if entry.event in (ADMITTED, *_ENDS) and entry.evidence["trigger"] == trigger
    ]
    return found[-1] if found else None


def unfinished(entries: Sequence[LedgerEntry]) -> list[LedgerEntry]:
    """Return the admissions that have not ended: at work in some process, or killed."""
    triggers = dict.fromkeys(e.evidence["trigger"] for e in entries if e.event == ADMITTED)
    last = [last_of(entries, trigger) for trigger in triggers]
    return [entry for entry in last if entry is not None and entry.event == ADMITTED]


def failed_triggers(entries: Sequence[LedgerEntry]) -> set[str]:
    """Return the triggers whose last retrain failed: they may be admitted anew."""
    last = {str(e.evidence["trigger"]): e.event for e in entries if e.event in (ADMITTED, *_ENDS)}
    return {trigger for trigger, event in last.items() if event == FAILED}


def has_failed(entries: Sequence[LedgerEntry], trigger: str) -> bool:
    """Return whether a retrain of this trigger has ever failed."""
    return any(e.event == FAILED and e.evidence["trigger"] == trigger for e in entries)


def past_retrains(entries: Sequence[LedgerEntry]) -> tuple[RetrainRun, ...]:
    """Return the retrains that the ledger tells of, oldest first.

    A trigger that failed and was admitted anew has one run for each admission. One whose version a
    person let pass later was promoted all the same.
    """
    moved: dict[int | None, int] = {
        version_of(e): e.sequence for e in entries if e.event == CHAMPION_MOVED
    }
    waiting = {a.version for a in approvals_in(entries) if a.state == "waiting"}
    runs: dict[int, RetrainRun] = {}
    current: dict[str, int] = {}
    for entry in entries:
        trigger = str(entry.evidence.get("trigger"))
        if entry.event == ADMITTED:
            runs[entry.sequence], current[trigger] = _begun(entry), entry.sequence
        elif entry.event in _ENDS and trigger in current:
            admitted = current.pop(trigger)
            version = entry.evidence.get("version")
            promoted = moved.get(version, 0) > entry.sequence
            outcome = _outcome(entry, promoted=promoted, waits=version in waiting)
            runs[admitted] = runs[admitted].model_copy(update=_end(entry, outcome))
        elif entry.event == RESUMED:
            runs = {at: _looked_at(run) for at, run in runs.items()}
    return tuple(runs.values())


def _begun(entry: LedgerEntry) -> RetrainRun:
    return RetrainRun(
        trigger=str(entry.evidence["trigger"]),
        started_at=datetime.fromisoformat(entry.created_at),
        ticket=entry.evidence.get("ticket"),
    )


def _end(entry: LedgerEntry, outcome: Outcome) -> dict[str, Any]:
    return {
        "ended_at": datetime.fromisoformat(entry.created_at),
        "minutes": float(entry.evidence.get("minutes", 0.0)),
        "outcome": outcome,
    }


def _outcome(entry: LedgerEntry, *, promoted: bool, waits: bool) -> Outcome:
    if entry.event == FAILED:
        return "failed"
    if promoted or entry.evidence.get("promoted"):
        return "promoted"
    return "waiting" if waits else "rejected"


def _looked_at(run: RetrainRun) -> RetrainRun:
    ended = run.outcome != "running"
    return run.model_copy(update={"looked_at": True}) if ended else run
