"""What Evidently draws: a page for each incident, JSON for each window, and its UI's workspace."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flows.monitoring.labels import recent_rows
from flows.monitoring.windows import open_store, seen_as
from flows.workspace import Workspace
from pipeline_steps.digests import value_digest
from pipeline_steps.drift_types import DriftReport
from pipeline_steps.monitoring.incident_report import (
    add_to_workspace,
    can_render,
    write_incident,
    write_window,
)
from pipeline_steps.monitoring.monitored_rows import Seen
from pipeline_steps.monitoring.reference import Reference
from pipeline_steps.monitoring.tickets import Ticket
from pipeline_steps.types import ModelVersion


def draw_incidents(
    workspace: Workspace, version: ModelVersion, training: Reference, tickets: Sequence[Ticket]
) -> list[Path]:
    """Return the pages of live tickets; a page is drawn anew when what it says has changed.

    There are none where Evidently is not installed, or not wanted.
    """
    if not _wanted(workspace, "incidents", "windows"):
        return []
    live = [ticket for ticket in tickets if ticket.live and ticket.version == version.version]
    pages = [_drawn(workspace, version, training, ticket) for ticket in live]
    return [page for page in pages if page.exists()]


def draw_windows(
    workspace: Workspace, version: ModelVersion, training: Reference, windows: Sequence[DriftReport]
) -> list[Path]:
    """Return the JSON files of windows; none unless ``monitor.evidently`` is ``windows``."""
    if not _wanted(workspace, "windows"):
        return []
    drawn = [_drawn_window(workspace, version, training, window) for window in windows]
    return [path for path in drawn if path is not None]


def _wanted(workspace: Workspace, *choices: str) -> bool:
    return workspace.params.monitor.evidently in choices and can_render()


def _drawn_window(
    workspace: Workspace, version: ModelVersion, training: Reference, window: DriftReport
) -> Path | None:
    """Return the file of a window; ``None`` where the log has forgotten its rows."""
    log = open_store(workspace).log
    limit = workspace.params.monitor.window_rows
    page = log.read(window.first_sequence - 1, limit, version.name)
    rows = [
        row
        for row in page
        if row.prediction.version == version.version and row.sequence <= window.last_sequence
    ]
    if not rows:
        return None
    seen = seen_as(workspace, rows, training)
    kept = seen.take(Seen().first_of_their_kind(seen))
    span = f"{window.first_sequence}-{window.last_sequence}"
    path = workspace.state / "windows" / f"{version.name}-{span}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    snapshot = write_window(path, window, training, kept.rows, rows[-1].prediction.created_at)
    name = f"rows {window.first_sequence} to {window.last_sequence}: {window.status}"
    add_to_workspace(_ui(workspace), version.name, f"window {span}", name, snapshot)
    return path


def _ui(workspace: Workspace) -> Path:
    """Return the directory that ``evidently ui --workspace`` shows."""
    return workspace.state / "evidently"


def _drawn(
    workspace: Workspace, version: ModelVersion, training: Reference, ticket: Ticket
) -> Path:
    stem = workspace.state / "incidents" / ticket.ticket
    content = ticket.model_dump(mode="json", exclude={"joined", "last_sequence", "explanation"})
    mark, digest = stem.with_suffix(".digest"), value_digest(content)
    page = stem.with_suffix(".html")
    if page.exists() and mark.exists() and mark.read_text(encoding="utf-8") == digest:
        return page
    recent = recent_rows(workspace, open_store(workspace), version, ticket)
    seen = seen_as(workspace, recent, training)
    kept = seen.take(Seen().first_of_their_kind(seen))
    if not len(kept):
        return page
    snapshot = write_incident(stem, ticket, training, kept.rows)
    name = f"{ticket.ticket}: {ticket.status}"
    add_to_workspace(_ui(workspace), version.name, ticket.ticket, name, snapshot)
    mark.write_text(digest, encoding="utf-8")
    return page
