"""Group commit: what was answered while one transaction ran goes into the next one together.

A request is answered only after all its rows are on the disk, so many requests share the wait for
it; its rows come together or not at all, so that one that is refused and sent again is logged once
(Gawlick and Kinkade 1985, "Varieties of concurrency control in IMS/VS Fast Path").
"""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from typing import Any, Protocol

from pipeline_steps.errors import TrafficError
from pipeline_steps.serving.metrics import Metrics
from pipeline_steps.serving.refusals import not_logged
from pipeline_steps.serving.tickets import Ticket
from pipeline_steps.traffic_rows import LateLabel, LoggedPrediction


class Log(Protocol):
    """Where predictions are kept; :class:`pipeline_steps.monitoring.traffic.TrafficLog` is one."""

    def append(self, predictions: Sequence[LoggedPrediction]) -> None:
        """Keep predictions, durably, before this returns."""
        ...

    def add_labels(self, labels: Sequence[LateLabel]) -> int:
        """Keep labels and return how many were new."""
        ...


class GroupCommit:
    """The thread that logs the rows of answered requests and then answers these."""

    def __init__(self, log: Log, metrics: Metrics) -> None:
        self.log = log
        self.metrics = metrics
        self._answered: queue.SimpleQueue[list[Ticket] | None] = queue.SimpleQueue()

    def put(self, tickets: list[Ticket]) -> None:
        """Let requests be logged and acknowledged; each of their rows has its answer."""
        self._answered.put(tickets)

    def close(self) -> None:
        """Let :meth:`run` end after what was put before."""
        self._answered.put(None)

    def run(self) -> None:
        """Log and acknowledge until closed."""
        going_on = True
        while going_on:
            tickets, going_on = self._gather()
            if open_ones := [ticket for ticket in tickets if not ticket.done]:
                self._commit(open_ones)

    def _gather(self) -> tuple[list[Ticket], bool]:
        """Return all requests that are there, and whether more will come; wait for the first."""
        tickets: list[Ticket] = []
        more: Any = self._answered.get()
        while more is not None:
            tickets += more
            try:
                more = self._answered.get_nowait()
            except queue.Empty:
                return tickets, True
        return tickets, False

    def _commit(self, tickets: list[Ticket]) -> None:
        began = time.perf_counter()
        rows = [row.answer.logged for each in tickets for row in each.rows if row.answer]
        try:
            self.log.append(rows)
        except TrafficError as error:
            refusal = not_logged()
            refusal.__cause__ = error
            for ticket in tickets:
                ticket.fail(refusal)
            return
        self.metrics.commit_rows.observe(len(rows))
        self.metrics.commit_seconds.observe(time.perf_counter() - began)
        for ticket in tickets:
            ticket.settle()
