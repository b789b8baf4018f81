"""The rows that labels are asked for, by tickets and by chance, in the order of the queue."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flows.monitoring.labels import waiting_rows
from flows.workspace import Workspace
from pipeline_steps.monitoring.monitor_store import MonitorStore
from pipeline_steps.monitoring.monitored_rows import answer_text, text_of
from pipeline_steps.monitoring.standing import ASKED
from pipeline_steps.monitoring.standing_rows import unlabelled_rows
from pipeline_steps.monitoring.traffic import TrafficLog
from pipeline_steps.problems.right_answers import answer_name
from pipeline_steps.serving.label_queue import AskedRow, LabelQueue, Place
from pipeline_steps.traffic_rows import LoggedPrediction

if TYPE_CHECKING:
    from pipeline_steps.monitoring.tickets import Ticket


def label_queue(workspace: Workspace, log: TrafficLog) -> LabelQueue:
    """Return what a service asks for the rows that wait for a label, and tells of them."""
    store = MonitorStore(log)

    def asked(n: int, after: Place | None) -> Sequence[AskedRow]:
        rows = asked_rows(workspace, store)
        return [row for row in rows if after is None or row.place > after][:n]

    def skip(names: Sequence[str]) -> int:
        waiting = {row.prediction_id for row in asked_rows(workspace, store)} & set(names)
        store.skip(sorted(waiting))
        return len(waiting)

    return LabelQueue(asked, skip)


def asked_rows(workspace: Workspace, store: MonitorStore) -> list[AskedRow]:
    """Return the rows whose labels live tickets and the standing draw wait for, in their order.

    Those of a ticket whose label is no answer to them wait for another one.
    """
    tickets = store.tickets(workspace.params.register_.model_name)
    problem = workspace.params.problem
    rows = [row for ticket in tickets if ticket.live for row in _of(store, ticket, problem)]
    asked = {row.prediction_id for row in rows}
    rows += [row for row in _drawn(workspace, store) if row.prediction_id not in asked]
    return sorted(rows, key=lambda row: row.place)


def _drawn(workspace: Workspace, store: MonitorStore) -> list[AskedRow]:
    """Return rows of the standing draw: as many of the newest as a ticket asks for at the most."""
    params = workspace.params
    if not params.monitor.standing_labels:
        return []
    name, most = params.register_.model_name, params.monitor.label_cap
    waiting = {row.prediction_id: row for row in unlabelled_rows(store, name, most)}
    made = [row.prediction for row in store.rows(list(waiting)).values()]
    return [
        _row((waiting[one.prediction_id].sequence, ASKED, 0), one, params.problem) for one in made
    ]


def _of(store: MonitorStore, ticket: Ticket, problem: str) -> list[AskedRow]:
    requests = [request for request in store.requests(ticket.ticket) if not request.skipped]
    positions = {request.prediction_id: request.position for request in requests}
    left_out = [name for name in ticket.left_out if name in positions]
    waiting = [*waiting_rows(store, requests), *store.rows(left_out).values()]
    made = [row.prediction for row in waiting]
    return [
        _row((ticket.alarm_sequence, ticket.ticket, positions[one.prediction_id]), one, problem)
        for one in made
    ]


def _row(place: Place, prediction: LoggedPrediction, problem: str) -> AskedRow:
    output, name = prediction.output, answer_name(problem)
    is_one_label = name == "label" and prediction.probabilities
    return AskedRow(
        place=place,
        prediction_id=prediction.prediction_id,
        text=text_of(prediction.example),
        answer=answer_text(output),
        choices=tuple(sorted(prediction.probabilities or ())) if is_one_label else (),
        draft="" if is_one_label else _typed(output.get(name, "")),
    )


def _typed(answer: object) -> str:
    """Return an answer as a person types it: a text as it is, anything else as JSON."""
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
