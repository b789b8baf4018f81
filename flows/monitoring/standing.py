"""Labels that come without an alarm of stage 1: a risk above the line opens a ticket of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from flows.monitoring.labels import harm_line
from flows.monitoring.windows import live_tickets, open_store, standing_draw
from flows.workspace import Workspace
from pipeline_steps.monitoring.losses import answer_flaw, answer_losses
from pipeline_steps.monitoring.monitor_store import MonitorStore
from pipeline_steps.monitoring.reference import Reference
from pipeline_steps.monitoring.standing import StandingEvidence, ticket_by_labels, weigh_labels
from pipeline_steps.monitoring.standing_rows import DrawnRow, forget_draws, rows_of_draw
from pipeline_steps.monitoring.tickets import Ticket
from pipeline_steps.monitoring_params import STANDING_ROWS
from pipeline_steps.types import ModelVersion


def watch_labels(
    workspace: Workspace, version: ModelVersion, training: Reference
) -> StandingEvidence | None:
    """Return what the labels of drawn rows say; an alarm is kept as a ticket.

    ``None`` where no rows are drawn, and while a live ticket asks the same question already. All
    of it follows from the rows that were drawn and the labels of today: a killed run is no other.
    """
    draw, store = standing_draw(workspace, version), open_store(workspace)
    if draw is None:
        return None
    forget_draws(store, draw, STANDING_ROWS)
    if live_tickets(store, version):
        return None
    since = _since(workspace, store, version)
    rows = [
        row for row in rows_of_draw(store, draw.name) if since is None or row.created_at > since
    ]
    losses = _losses(workspace.params.problem, rows)
    threshold = workspace.params.monitor.standing_threshold
    found = weigh_labels(losses, harm_line(workspace, training), threshold)
    if found.alarm is not None:
        ticket = ticket_by_labels(
            draw,
            found,
            reference_digest=training.digest,
            sequence=rows[found.alarm].sequence,
            last_sequence=rows[-1].sequence,
            at=rows[found.alarm].created_at,
        )
        store.put_ticket(ticket)
    n_asked = min(losses.count(None), workspace.params.monitor.label_cap) if draw.asked else 0
    return found.model_copy(update={"n_asked": n_asked})


def _since(workspace: Workspace, store: MonitorStore, version: ModelVersion) -> datetime | None:
    """Return up to when rows count no more: what a ticket that ended was about is answered.

    Behind one that labels opened the same cause waits as long as behind any alarm.
    """
    pause = timedelta(hours=workspace.params.monitor.same_cause_hours)
    ended = [
        (ticket.last_at or ticket.opened_at) + pause * (ticket.opened_by == "labels")
        for ticket in store.tickets(version.name)
        if ticket.version == version.version and _settled(ticket)
    ]
    return max(ended, default=None)


def _settled(ticket: Ticket) -> bool:
    return ticket.status in ("benign", "unclear")


def _losses(problem: str, rows: Sequence[DrawnRow]) -> list[float | None]:
    """Return the loss of each row, ``None`` without a label or with one that is no answer to it."""
    sound = {
        place: row
        for place, row in enumerate(rows)
        if row.output is not None and answer_flaw(problem, row.output, row.label) is None
    }
    outputs = [row.output or {} for row in sound.values()]
    losses = answer_losses(problem, outputs, [row.label for row in sound.values()])
    known = dict(zip(sound, losses.tolist(), strict=True))
    return [known.get(place) for place in range(len(rows))]
