"""What a monitor keeps between runs, in the database of the traffic log.

What belongs together is one transaction: a window's rows, the detector after them, the report and
the ticket. A killed run left all of it or nothing; the same rows read again change nothing, since
the place in the log moves in that same transaction, and only from where its reader stood.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pipeline_steps.database import add_columns, missing_columns
from pipeline_steps.drift_types import DriftReport, RetrainDecision
from pipeline_steps.errors import TrafficError
from pipeline_steps.monitoring.monitor_schema import monitor_tables
from pipeline_steps.monitoring.tickets import LabelRequest, Ticket
from pipeline_steps.monitoring.traffic import TrafficLog
from pipeline_steps.monitoring.traffic_schema import microseconds, rows_from, rows_query
from pipeline_steps.traffic_rows import TrafficRow

_IDS_A_QUERY = 500


@dataclass(frozen=True)
class MonitorState:
    """Where a model's monitor stands: its references, its place in the log, its detector."""

    training_digest: str
    anchor_digest: str
    cursor: int
    detector: bytes
    seen: str


class MonitorStore:
    """Reads and writes a monitor's state beside a traffic log.

    Parameters
    ----------
    log : TrafficLog
        The first call makes the monitor's tables in its database.

    Raises
    ------
    TrafficError
        Here and in every method, if the database cannot be used.
    """

    def __init__(self, log: TrafficLog) -> None:
        self.log = log
        self.database = log.database
        self.tables = monitor_tables()
        if not self._is_made():
            with self.database.writing() as connection:
                self.tables.metadata.create_all(connection)
                add_columns(connection, self.tables.requests)

    def _is_made(self) -> bool:
        """Return whether all tables are there with all columns: older ones lack the last one."""
        with self.database.reading() as connection:
            present = set(sa.inspect(connection).get_table_names())
            if not set(self.tables.metadata.tables) <= present:
                return False
            return not missing_columns(connection, self.tables.requests)

    def state(self, model_name: str) -> MonitorState | None:
        """Return where the monitor of a model stands; ``None`` before its first run."""
        with self.database.reading() as connection:
            return self._state(connection, model_name)

    def advance(
        self,
        model_name: str,
        new: MonitorState,
        *,
        expected: MonitorState | None,
        report: DriftReport | None = None,
        tickets: Iterable[Ticket] = (),
        drawn: Sequence[LabelRequest] = (),
    ) -> None:
        """Write the state after a window with its report, tickets and drawn rows, all or nothing.

        Raises
        ------
        TrafficError
            If another process has moved the monitor from where ``expected`` says.
        """
        with self.database.writing() as connection:
            if self._state(connection, model_name) != expected:
                raise TrafficError(
                    f"another process went on with the monitor of {model_name} in the meantime",
                    expected="one monitor a model at a time",
                    fix="nothing is lost; run it again: holdfast monitor",
                )
            table = self.tables.state
            connection.execute(sa.delete(table).where(table.c.model_name == model_name))
            connection.execute(table.insert().values(model_name=model_name, **vars(new)))
            if report is not None:
                values = {
                    "model_name": model_name,
                    "first_sequence": report.first_sequence,
                    "last_sequence": report.last_sequence,
                    "report": report.model_dump_json(),
                }
                connection.execute(self.tables.windows.insert().values(values))
            for ticket in tickets:
                self._put_ticket(connection, ticket)
            self._put_requests(connection, drawn)

    def put_ticket(self, ticket: Ticket, requests: Iterable[LabelRequest] = ()) -> None:
        """Write a ticket with new label requests, all or nothing."""
        with self.database.writing() as connection:
            self._put_ticket(connection, ticket)
            self._put_requests(connection, requests)

    def tickets(self, model_name: str) -> list[Ticket]:
        """Return all tickets of a model, oldest first."""
        table = self.tables.tickets
        query = sa.select(table.c.content).where(table.c.model_name == model_name)
        with self.database.reading() as connection:
            found = [Ticket.model_validate_json(text) for text in connection.scalars(query)]
        return sorted(found, key=lambda ticket: (ticket.alarm_sequence, ticket.ticket))

    def ticket(self, ticket: str) -> Ticket:
        """Return the ticket with an id.

        Raises
        ------
        TrafficError
            If there is none.
        """
        table = self.tables.tickets
        query = sa.select(table.c.content).where(table.c.ticket == ticket)
        with self.database.reading() as connection:
            content = connection.scalar(query)
        if content is None:
            raise TrafficError(
                f"there is no ticket {ticket!r}",
                expected="a ticket that `holdfast monitor --json` names",
                fix="holdfast monitor --json",
            )
        return Ticket.model_validate_json(content)

    def requests(self, ticket: str) -> list[LabelRequest]:
        """Return the label requests of a ticket in the order in which they were drawn.

        One that was skipped is so no more once its row has a label that came since.
        """
        table, labels = self.tables.requests, self.log.tables.labels
        query = (
            sa.select(table, labels.c.labelled_at)
            .outerjoin(labels, labels.c.sequence == table.c.sequence)
            .where(table.c.ticket == ticket)
            .order_by(table.c.position)
        )
        with self.database.reading() as connection:
            return [_request(**row._asdict()) for row in connection.execute(query)]

    def skip(self, prediction_ids: Sequence[str], *, skipped: bool = True) -> int:
        """Return how many requests were marked as unanswerable (or not): their rows do not count.

        Of the mark and a label of the same row the one that came later counts.
        """
        table, labels = self.tables.requests, self.log.tables.labels
        standing = sa.select(labels.c.labelled_at).where(labels.c.sequence == table.c.sequence)
        values = {"skipped": skipped, "skipped_over": standing.scalar_subquery()}
        with self.database.writing() as connection:
            return sum(
                connection.execute(
                    sa.update(table).where(table.c.prediction_id.in_(some)).values(values)
                ).rowcount
                for some in _slices(prediction_ids)
            )

    def rows(self, prediction_ids: Sequence[str]) -> dict[str, TrafficRow]:
        """Return rows of the log with their labels by prediction id, without forgotten ones."""
        found: dict[str, TrafficRow] = {}
        column = self.log.tables.predictions.c.prediction_id
        with self.database.reading() as connection:
            for some in _slices(prediction_ids):
                query = rows_query(self.log.tables).where(column.in_(some))
                rows = rows_from(connection.execute(query).all())
                found |= {row.prediction.prediction_id: row for row in rows}
        return found

    def count_since(self, model_name: str, moment: datetime) -> int:
        """Return how many rows a model has answered since a time."""
        columns = self.log.tables.predictions.c
        query = (
            sa.select(sa.func.count())
            .where(columns.model_name == model_name)
            .where(columns.created_at >= microseconds(moment))
        )
        with self.database.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def window_reports(self, model_name: str, last: int | None = None) -> list[DriftReport]:
        """Return the reports of a model's windows, oldest first; of the ``last`` ones, or all."""
        table = self.tables.windows
        query = sa.select(table.c.report).where(table.c.model_name == model_name)
        query = query.order_by(table.c.first_sequence.desc()).limit(last)
        with self.database.reading() as connection:
            texts = list(connection.scalars(query))
        return [DriftReport.model_validate_json(text) for text in reversed(texts)]

    def put_decision(self, decision: RetrainDecision) -> None:
        """Write a decision that is not in the ledger yet; one that is known is left as it is."""
        table = self.tables.decisions
        known = sa.select(table.c.decision_id).where(table.c.decision_id == decision.decision_id)
        count = sa.select(sa.func.count()).select_from(table)
        with self.database.writing() as connection:
            if connection.scalar(known) is None:
                values = {
                    "decision_id": decision.decision_id,
                    "model_name": decision.model_name,
                    "place": connection.scalar(count),
                    "recorded": False,
                    "content": decision.model_dump_json(),
                }
                connection.execute(table.insert().values(values))

    def decisions(self, model_name: str, *, recorded: bool | None = None) -> list[RetrainDecision]:
        """Return decisions, oldest first: all, or those that are (not) in the ledger yet."""
        table = self.tables.decisions
        query = sa.select(table.c.content).where(table.c.model_name == model_name)
        if recorded is not None:
            query = query.where(table.c.recorded == recorded)
        with self.database.reading() as connection:
            texts = list(connection.scalars(query.order_by(table.c.place)))
        return [RetrainDecision.model_validate_json(text) for text in texts]

    def mark_recorded(self, decision_id: str) -> None:
        """Remember that a decision stands in the ledger."""
        table = self.tables.decisions
        statement = sa.update(table).where(table.c.decision_id == decision_id)
        with self.database.writing() as connection:
            connection.execute(statement.values(recorded=True))

    def _state(self, connection: sa.Connection, model_name: str) -> MonitorState | None:
        table = self.tables.state
        row = connection.execute(sa.select(table).where(table.c.model_name == model_name)).first()
        if row is None:
            return None
        fields: dict[str, Any] = row._asdict()
        del fields["model_name"]
        return MonitorState(**{**fields, "detector": bytes(fields["detector"])})

    def _put_ticket(self, connection: sa.Connection, ticket: Ticket) -> None:
        table = self.tables.tickets
        connection.execute(sa.delete(table).where(table.c.ticket == ticket.ticket))
        content = json.dumps(ticket.model_dump(mode="json"))
        values = {
            "ticket": ticket.ticket,
            "model_name": ticket.model_name,
            "status": ticket.status,
            "content": content,
        }
        connection.execute(table.insert().values(values))

    def _put_requests(self, connection: sa.Connection, requests: Iterable[LabelRequest]) -> None:
        rows = [request.model_dump() for request in requests]
        if rows:
            connection.execute(self.tables.requests.insert(), rows)


def _request(
    labelled_at: int | None, skipped_over: int | None, *, skipped: bool, **fields: Any
) -> LabelRequest:
    """Return a request: skipped as long as no other label came than the one that stood then."""
    still = skipped and labelled_at in (None, skipped_over)
    return LabelRequest(skipped=still, **fields)


def _slices(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return [values[i : i + _IDS_A_QUERY] for i in range(0, len(values), _IDS_A_QUERY)]
