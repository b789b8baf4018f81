"""Labels of tickets: which rows to ask for, and what they say of the harm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flows.monitoring.references import keep_reference, kept_reference
from flows.monitoring.windows import fresh_state, open_store, seen_as
from flows.registry_access import open_ledger
from flows.retraining.dataset_version import fresh_rows
from flows.retraining.traffic_rows import traffic_rows
from flows.retraining.triggers import rows_needed
from flows.workspace import Workspace
from pipeline_steps.drift_types import Explanation
from pipeline_steps.monitoring.cells import cell_of, risk_split
from pipeline_steps.monitoring.confirm import confirm, risk_line
from pipeline_steps.monitoring.e_detector import LEAST_ROWS
from pipeline_steps.monitoring.forgotten_rows import forget_rows
from pipeline_steps.monitoring.losses import answer_flaw, answer_losses
from pipeline_steps.monitoring.monitor_store import MonitorStore
from pipeline_steps.monitoring.monitored_rows import Seen
from pipeline_steps.monitoring.reference import Reference, accept
from pipeline_steps.monitoring.tickets import LabelRequest, Ticket, draw_requests, judged
from pipeline_steps.monitoring.window import explain
from pipeline_steps.registry.retrain_history import past_retrains
from pipeline_steps.traffic_rows import TrafficRow
from pipeline_steps.types import ModelVersion


def confirm_tickets(
    workspace: Workspace, version: ModelVersion, training: Reference
) -> list[Ticket]:
    """Return all tickets of the model after the labels that have come; live ones ask for more.

    What is asked for after harm was confirmed is to learn from.
    """
    store = open_store(workspace)
    for ticket in store.tickets(version.name):
        if ticket.live and ticket.version == version.version:
            _go_on(workspace, store, version, training, ticket)
    return store.tickets(version.name)


def forget_texts(workspace: Workspace, tickets: Sequence[Ticket]) -> list[Ticket]:
    """Return the tickets, those that are settled without texts of rows that the log has forgotten.

    The reports of windows lose theirs too; pages of incidents follow when they are drawn.
    """
    store, name = open_store(workspace), workspace.params.register_.model_name
    return store.tickets(name) if forget_rows(store, name) else list(tickets)


def _go_on(
    workspace: Workspace,
    store: MonitorStore,
    version: ModelVersion,
    training: Reference,
    ticket: Ticket,
) -> None:
    """Judge a ticket by the labels that it has; settle it, or ask for the next ones."""
    params = workspace.params.monitor
    requests = store.requests(ticket.ticket)
    rows = store.rows([request.prediction_id for request in requests if not request.skipped])
    left_out = flawed_labels(workspace.params.problem, rows)
    answered = _answered([r for r in requests if r.prediction_id not in left_out], rows)
    losses = _losses(workspace, answered)
    harm = confirm(losses, line=harm_line(workspace, training), alpha=params.alpha)
    at = answered[-1].label.labelled_at if answered and answered[-1].label else ticket.changed_at
    ticket = judged(ticket, harm, label_cap=params.label_cap, at=at)
    recent = recent_rows(workspace, store, version, ticket)
    explanation = _explained(workspace, training, recent, answered, losses)
    ticket = ticket.model_copy(
        update={"explanation": explanation, "left_out": tuple(sorted(left_out))}
    )
    if ticket.status in ("benign", "unclear"):
        _settle(workspace, store, version, training, ticket, recent)
        return
    confirmed = ticket.status == "harm"
    unanswered = len(waiting_rows(store, requests))
    labelled = {row.prediction.prediction_id for row in recent if row.label is not None}
    new = draw_requests(
        ticket,
        [(row.prediction.prediction_id, row.sequence) for row in recent],
        requests,
        at_a_time=params.labels_to_train if confirmed else params.labels_at_a_time,
        label_cap=most_to_train(workspace, ticket, requests, unanswered)
        if confirmed
        else params.label_cap,
        unanswered=unanswered,
        labelled=labelled,
    )
    store.put_ticket(ticket, new)
    if any(request.prediction_id in labelled for request in new):  # judged at once
        _go_on(workspace, store, version, training, ticket)


def harm_line(workspace: Workspace, training: Reference) -> float:
    """Return the largest risk that is tolerated: it is that of the training for ever."""
    params = workspace.params.monitor
    return risk_line(training.losses, tolerated=params.tolerated_harm, confidence=params.confidence)


def most_to_train(
    workspace: Workspace, ticket: Ticket, requests: Sequence[LabelRequest], unanswered: int
) -> int:
    """Return how many rows of a harmful ticket may be asked for in all.

    At least as many as a retrain needs: with fewer it would wait for ever. Where retrains for it
    brought no new champion, as many again as the next one is to learn from: it is given no row that
    they were given.
    """
    n = workspace.params.monitor.labels_to_train
    n = max(n, rows_needed(workspace.params)) if n else 0
    runs = past_retrains(open_ledger(workspace).entries(ticket.model_name))
    if not any(run.ticket == ticket.ticket and run.outcome == "rejected" for run in runs):
        return n
    n_fresh = len(fresh_rows(workspace, traffic_rows(workspace, ticket.ticket)))
    used = sum(not request.skipped for request in requests)
    return used + max(n - n_fresh - unanswered, 0)


def _settle(
    workspace: Workspace,
    store: MonitorStore,
    version: ModelVersion,
    training: Reference,
    ticket: Ticket,
    recent: Sequence[TrafficRow],
) -> None:
    """Close a ticket and start the detector anew: on the accepted window where it is benign.

    Of one that labels opened the detector knows nothing: it goes on.
    """
    state = store.state(version.name)
    if state is None:
        return
    if recent:
        ticket = ticket.model_copy(update={"last_at": recent[-1].prediction.created_at})
    if ticket.opened_by == "labels":
        store.put_ticket(ticket)
        return
    anchor = kept_reference(workspace, state.anchor_digest, training)
    seen = seen_as(workspace, recent, training)
    kept = seen.take(Seen().first_of_their_kind(seen))
    if ticket.status == "benign" and len(kept) >= LEAST_ROWS:
        anchor = accept(training, kept.rows, current_digest=kept.digest, strata=kept.strata)
        keep_reference(workspace, anchor)
    new = fresh_state(workspace, version, training, anchor, state.cursor)
    store.advance(version.name, new, expected=state, tickets=[ticket])


def recent_rows(
    workspace: Workspace, store: MonitorStore, version: ModelVersion, ticket: Ticket
) -> list[TrafficRow]:
    """Return the newest rows after the alarm that the monitor has read, of this version."""
    state = store.state(version.name)
    cursor = 0 if state is None else state.cursor
    n = workspace.params.monitor.pool_rows
    rows = store.log.read(max(ticket.alarm_sequence, cursor - n), n, version.name)
    return [
        row for row in rows if row.prediction.version == version.version and row.sequence <= cursor
    ]


def _explained(
    workspace: Workspace,
    training: Reference,
    recent: Sequence[TrafficRow],
    answered: Sequence[TrafficRow],
    losses: Any,
) -> Explanation:
    """Return what moved in the rows after the alarm, and with labels which effect the risk has."""
    seen = seen_as(workspace, recent, training)
    found = explain(seen.take(Seen().first_of_their_kind(seen)), training)
    if not answered:
        return found
    rows = seen_as(workspace, answered, training).rows
    where = cell_of(training.cells, training.vectors(rows))
    mix, within = risk_split(training.cells, where, losses)
    effects = {"n_labelled": len(answered), "mix_effect": mix, "within_effect": within}
    return found.model_copy(update=effects)


def _losses(workspace: Workspace, answered: Sequence[TrafficRow]) -> Any:
    outputs = [row.prediction.output for row in answered]
    labels = [row.label.label for row in answered if row.label is not None]
    return np.asarray(answer_losses(workspace.params.problem, outputs, labels))


def flawed_labels(problem: str, rows: Mapping[str, TrafficRow]) -> dict[str, str]:
    """Return the ids of rows whose label is no answer to them, each with why it is none."""
    flaws = {
        name: answer_flaw(problem, row.prediction.output, row.label.label)
        for name, row in rows.items()
        if row.label is not None
    }
    return {name: flaw for name, flaw in flaws.items() if flaw is not None}


def _answered(requests: Sequence[LabelRequest], rows: dict[str, TrafficRow]) -> list[TrafficRow]:
    """Return the labelled rows in the order of drawing, up to the first that is not labelled yet.

    Whichever labels come first, the rows that count were chosen before anybody saw them.
    """
    found = []
    for request in requests:
        row = rows.get(request.prediction_id)
        if row is None:  # nobody can label it, or the log's retention forgot it
            continue
        if row.label is None:
            break
        found.append(row)
    return found


def waiting_rows(store: MonitorStore, requests: Sequence[LabelRequest]) -> list[TrafficRow]:
    """Return the rows that were asked for and have no label yet."""
    asked = [request.prediction_id for request in requests if not request.skipped]
    rows = store.rows(asked)
    return [rows[name] for name in asked if name in rows and rows[name].label is None]
