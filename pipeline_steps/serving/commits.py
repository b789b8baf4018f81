"""Group commit: what was answered while one transaction ran goes into the next one together.

A request is answered only after all its rows are on the disk, so many requests share the wait for
it (Gawlick and Kinkade 1985, "Varieties of concurrency control in IMS/VS Fast Path").
"""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from typing import Any, Protocol

from pipeline_steps.errors import TrafficError
from pipeline_steps.serving.metrics import Metrics
from pipeline_steps.serving.refusals import not_logged
from pipeline_steps.serving.tickets import Row
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
    """The thread that logs answered rows and then answers their requests."""

    def __init__(self, log: Log, metrics: Metrics) -> None:
        self.log = log
        self.metrics = metrics
        self._answered: queue.SimpleQueue[list[Row] | None] = queue.SimpleQueue()

    def put(self, rows: list[Row]) -> None:
        """Let rows be logged and acknowledged."""
        self._answered.put(rows)

    def close(self) -> None:
        """Let :meth:`run` end after what was put before."""
        self._answered.put(None)

    def run(self) -> None:
        """Log and acknowledge until closed."""
        going_on = True
        while going_on:
            rows, going_on = self._gather()
            if rows:
                self._commit(rows)

    def _gather(self) -> tuple[list[Row], bool]:
        """Return all rows that are there, and whether more will come; wait for the first."""
        rows: list[Row] = []
        more: Any = self._answered.get()
        while more is not None:
            rows += more
            try:
                more = self._answered.get_nowait()
            except queue.Empty:
                return rows, True
        return rows, False

    def _commit(self, rows: list[Row]) -> None:
        began = time.perf_counter()
        try:
            self.log.append([row.answer.logged for row in rows if row.answer is not None])
        except TrafficError as error:
            refusal = not_logged()
            refusal.__cause__ = error
            for row in rows:
                row.ticket.fail(refusal)
            return
        self.metrics.commit_rows.observe(len(rows))
        self.metrics.commit_seconds.observe(time.perf_counter() - began)
        for row in rows:
            row.ticket.settle_one()
