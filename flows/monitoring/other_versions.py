"""Says that the champion is not the one that answers: what is watched then is nobody's traffic."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from flows.monitoring.windows import open_store
from flows.registry_access import open_ledger
from flows.workspace import Workspace
from pipeline_steps.drift_types import DriftReport
from pipeline_steps.types import ModelVersion, Value

NOT_SERVING = "champion_not_serving"
_SWAP = timedelta(minutes=10)
"""A new champion is loaded and smoke-tested before it answers; those before it go on until then."""


class NotServing(Value):
    """What is said, and whether it is said for the first time."""

    reason: str
    is_new: bool


def find_other_versions(
    workspace: Workspace, version: ModelVersion, windows: Sequence[DriftReport]
) -> NotServing | None:
    """Return what is wrong where other versions answered all rows of a run; else ``None``.

    The ledger says it once until the champion answers again. Rows from before the champion was one,
    and from shortly after, are no sign.
    """
    if not windows or any(window.n_read for window in windows):
        return None
    if not _is_late(workspace, version, windows[-1].last_sequence):
        return None
    store, ledger = open_store(workspace), open_ledger(workspace)
    kept = store.window_reports(version.name, last=1)
    others = sorted({other for window in windows for other in window.passed_over})
    evidence = {
        "champion": version.version,
        "answered_by": others,
        "after": kept[-1].last_sequence if kept else 0,
    }
    reason = _reason(version, windows, others)
    known = [e for e in ledger.entries(version.name) if e.event == NOT_SERVING]
    ledger.append_once(
        NOT_SERVING,
        model_name=version.name,
        actor=workspace.settings.actor,
        reason=reason,
        evidence=evidence,
    )
    return NotServing(reason=reason, is_new=all(e.evidence != evidence for e in known))


def _is_late(workspace: Workspace, version: ModelVersion, sequence: int) -> bool:
    """Return whether a row was answered when the champion should have."""
    move = open_ledger(workspace).last_move(version.name)
    rows = open_store(workspace).log.read(sequence - 1, 1, version.name)
    if move is None or not rows:
        return False
    return rows[0].prediction.created_at > datetime.fromisoformat(move.created_at) + _SWAP


def _reason(version: ModelVersion, windows: Sequence[DriftReport], others: Sequence[int]) -> str:
    n = sum(sum(window.passed_over.values()) for window in windows)
    named = " and ".join(map(str, others))
    return (
        f"version {version.version} is champion, and version {named} answered all {n} new rows: "
        "nothing of it is watched; see what the service says about loading the champion"
    )
