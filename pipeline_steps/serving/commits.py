"""Group commit: what was answered while one transaction ran goes into the next one together.

A request is answered only after all its rows are on the disk, so many requests share the wait for
it; its rows come together or not at all, so that one that is refused and sent again is logged once
(Gawlick and Kinkade 1985, "Varieties of concurrency control in IMS/VS Fast Path").
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from typing import Any, Protocol

from pipeline_steps.errors import TrafficError
from pipeline_steps.serving.metrics import Metrics
from pipeline_steps.serving.refusals import RefusedRequestError, not_logged
from pipeline_steps.serving.tickets import Ticket
from pipeline_steps.traffic_rows import LateLabel, LoggedPrediction

_SLOW_SECONDS = 10.0


class Log(Protocol):
    """Where predictions are kept; :class:`pipeline_steps.monitoring.traffic.TrafficLog` is one."""

    def append(self, predictions: Sequence[LoggedPrediction]) -> None:
        """Keep predictions, durably, before this returns."""
        ...

    def add_labels(self, labels: Sequence[LateLabel]) -> int:
        """Keep labels and return how many were new."""
        ...


class GroupCommit:
    """The thread that logs the rows of answered requests and then answers these.

    Parameters
    ----------
    log : Log
        Where rows are kept.
    metrics : Metrics
        What is counted.
    limit : int
        Answered rows that may wait for the log before it counts as behind.
    """

    def __init__(self, log: Log, metrics: Metrics, limit: int) -> None:
        self.log = log
        self.metrics = metrics
        self.limit = limit
        self._answered: queue.SimpleQueue[list[Ticket] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._n_rows = 0
        self._since: float | None = None

    @property
    def behind(self) -> bool:
        """Whether the log does not keep up: too many rows wait for it, or they wait too long."""
        since = self._since
        is_slow = since is not None and time.monotonic() - since > _SLOW_SECONDS
        return is_slow or self._n_rows > self.limit

    def put(self, tickets: list[Ticket]) -> None:
        """Let requests be logged and acknowledged; each of their rows has its answer."""
        self._count(sum(len(ticket.rows) for ticket in tickets))
        self._answered.put(tickets)

    def close(self) -> None:
        """Let :meth:`run` end after what was put before."""
        self._answered.put(None)

    def run(self) -> None:
        """Log and acknowledge until closed."""
        going_on = True
        while going_on:
            tickets, going_on = self._gather()
            self._since = self._since or time.monotonic()
            refusal = self._logged([ticket for ticket in tickets if not ticket.done])
            self._count(-sum(len(ticket.rows) for ticket in tickets))
            # With nothing left the next row is let in, to show whether a failure is over.
            if refusal is None or not self._n_rows:
                self._since = None
            for ticket in tickets:
                if refusal is None:
                    ticket.settle()
                else:
                    ticket.fail(refusal)

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

    def _count(self, n: int) -> None:
        with self._lock:
            self._n_rows += n

    def _logged(self, tickets: list[Ticket]) -> RefusedRequestError | None:
        """Log the rows of requests; return why not, where they cannot be logged."""
        began = time.perf_counter()
        rows = [row.answer.logged for each in tickets for row in each.rows if row.answer]
        try:
            self.log.append(rows)
        except TrafficError as error:
            refusal = not_logged()
            refusal.__cause__ = error
            return refusal
        if rows:
            self.metrics.commit_rows.observe(len(rows))
            self.metrics.commit_seconds.observe(time.perf_counter() - began)
        return None
