"""What Evidently draws: a page for each incident, JSON for each window, and its UI's workspace."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flows.monitoring.labels import recent_rows
from flows.monitoring.windows import open_store, seen_as
from flows.workspace import Workspace
from pipeline_steps.digests import value_digest
from pipeline_steps.drift_types import DriftReport
from pipeline_steps.files import write_text_atomically
from pipeline_steps.monitoring.incident_head import with_head
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
    """Return the pages of live tickets, and of those that say now how they ended.

    A page is drawn anew when what it says has changed; of a version before this one its head is.
    There are none where Evidently is not installed, or not wanted.
    """
    if not _wanted(workspace, "incidents", "windows"):
        return []
    pages = []
    for ticket in tickets:
        is_new = _mark(workspace, ticket) != _digest(ticket)
        if is_new and (ticket.live or _page(workspace, ticket).exists()):
            _tell(workspace, version, training, ticket)
        if (is_new or ticket.live) and _page(workspace, ticket).exists():
            pages.append(_page(workspace, ticket))
    return pages


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


def _tell(workspace: Workspace, version: ModelVersion, training: Reference, ticket: Ticket) -> None:
    """Let a ticket's page say what the ticket says, and remember that it does."""
    page = _page(workspace, ticket)
    drawn = ticket.version == version.version and _draw(workspace, version, training, ticket)
    if not drawn and page.exists():
        text = with_head(page.read_text(encoding="utf-8"), ticket)
        write_text_atomically(page, text)
    if page.exists():
        write_text_atomically(page.with_suffix(".digest"), _digest(ticket))


def _draw(workspace: Workspace, version: ModelVersion, training: Reference, ticket: Ticket) -> bool:
    """Return whether a page could be drawn: the log may have forgotten the rows."""
    recent = recent_rows(workspace, open_store(workspace), version, ticket)
    seen = seen_as(workspace, recent, training)
    kept = seen.take(Seen().first_of_their_kind(seen))
    if not len(kept):
        return False
    stem = _page(workspace, ticket).with_suffix("")
    threshold = workspace.params.monitor.threshold
    snapshot = write_incident(stem, ticket, training, kept.rows, threshold=threshold)
    name = f"{ticket.ticket}: {ticket.status}"
    add_to_workspace(_ui(workspace), version.name, ticket.ticket, name, snapshot)
    return True


def _page(workspace: Workspace, ticket: Ticket) -> Path:
    return workspace.state / "incidents" / f"{ticket.ticket}.html"


def _mark(workspace: Workspace, ticket: Ticket) -> str | None:
    """Return the digest of what a page says, ``None`` where there is none."""
    mark = _page(workspace, ticket).with_suffix(".digest")
    return mark.read_text(encoding="utf-8") if mark.exists() else None


def _digest(ticket: Ticket) -> str:
    """Return a digest of what a page says: of what moved, only whether rows are shown."""
    said = ticket.model_dump(
        mode="json", exclude={"joined", "last_sequence", "last_at", "explanation"}
    )
    return value_digest({**said, "rows": _shows_rows(ticket)})


def _shows_rows(ticket: Ticket) -> bool:
    return ticket.live or (ticket.explanation is not None and ticket.explanation.shows_rows)
