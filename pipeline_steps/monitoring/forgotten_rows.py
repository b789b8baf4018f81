"""Takes texts of rows out of reports and tickets, once the log has forgotten the rows."""

from __future__ import annotations

import sqlalchemy as sa

from pipeline_steps.drift_types import DriftReport
from pipeline_steps.monitoring.monitor_store import MonitorStore

_SHOWN = '"examples":["'


def forget_rows(store: MonitorStore, model_name: str) -> int:
    """Return how many reports of windows and settled tickets lost texts of forgotten rows.

    What was found stays: numbers, verdicts and the words that moved.
    """
    first = _first_kept(store, model_name)
    return _empty_windows(store, model_name, first) + _empty_tickets(store, model_name, first)


def _first_kept(store: MonitorStore, model_name: str) -> int:
    """Return the place of the oldest row that the log has; of an empty log, that to come."""
    columns = store.log.tables.predictions.c
    query = sa.select(sa.func.min(columns.sequence)).where(columns.model_name == model_name)
    with store.database.reading() as connection:
        first = connection.scalar(query)
    state = store.state(model_name)
    return first or (0 if state is None else state.cursor) + 1


def _empty_windows(store: MonitorStore, model_name: str, first: int) -> int:
    table = store.tables.windows
    old = (table.c.model_name == model_name) & (table.c.last_sequence < first)
    query = sa.select(table.c.first_sequence, table.c.report).where(
        old & table.c.report.contains(_SHOWN)
    )
    with store.database.writing() as connection:
        found = connection.execute(query).all()
        for place, text in found:
            same = (table.c.model_name == model_name) & (table.c.first_sequence == place)
            values = {"report": _emptied(DriftReport.model_validate_json(text)).model_dump_json()}
            connection.execute(sa.update(table).where(same).values(values))
    return len(found)


def _emptied(report: DriftReport) -> DriftReport:
    if report.explanation is None:
        return report
    return report.model_copy(update={"explanation": report.explanation.without_rows()})


def _empty_tickets(store: MonitorStore, model_name: str, first: int) -> int:
    n = 0
    for ticket in store.tickets(model_name):
        moved = ticket.explanation
        is_old = not ticket.live and ticket.last_sequence < first
        if is_old and moved is not None and moved.shows_rows:
            store.put_ticket(ticket.model_copy(update={"explanation": moved.without_rows()}))
            n += 1
    return n
