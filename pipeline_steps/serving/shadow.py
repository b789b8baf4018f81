"""The challenger in the champion's shadow: it answers the same rows, later, for the log only."""

from __future__ import annotations

import queue
import time
from collections.abc import Mapping
from typing import Any

from pipeline_steps.errors import ROW_ERRORS, TrafficError
from pipeline_steps.serving.commits import Log
from pipeline_steps.serving.logged_rows import answers_and_digests, logged
from pipeline_steps.serving.metrics import Metrics
from pipeline_steps.serving.redaction import Redactor
from pipeline_steps.serving.tickets import Row, VersionedModel
from pipeline_steps.serving.waiting import WaitingRows
from pipeline_steps.traffic_rows import LoggedPrediction

_ROWS = 16  # a batch of the challenger is short, so that the champion's next one need not wait long
_NAP = 0.01


class Shadow:
    """Scores rows with a challenger while nothing waits for the champion.

    The rows are logged under the ids of the champion's predictions. Where the load leaves no time
    for it, rows are dropped and counted.
    """

    def __init__(
        self, log: Log, busy: WaitingRows, redactor: Redactor, metrics: Metrics, limit: int
    ) -> None:
        self.log = log
        self.busy = busy
        self.redactor = redactor
        self.metrics = metrics
        self.model: VersionedModel | None = None
        self._rows: queue.Queue[Row] = queue.Queue(limit)
        self._closed = False

    def put(self, rows: list[Row]) -> None:
        """Let the challenger answer rows, as far as there is room."""
        for row in rows if self.model is not None else ():
            try:
                self._rows.put_nowait(row)
            except queue.Full:
                self.metrics.shadow_rows.labels("dropped").inc()

    def close(self) -> None:
        """Let :meth:`run` end; what still waits is dropped."""
        self._closed = True

    def run(self) -> None:
        """Score and log until closed."""
        while not self._closed:
            model = self.model
            if model is None or len(self.busy) or self._rows.empty():
                time.sleep(_NAP)
                continue
            rows = [self._rows.get() for _ in range(min(_ROWS, self._rows.qsize()))]
            outcome = self._log(rows, model)
            self.metrics.shadow_rows.labels(outcome).inc(len(rows))

    def _entry(
        self, row: Row, answer: tuple[Mapping[str, Any], str | None], model: VersionedModel
    ) -> LoggedPrediction:
        entry = logged(row, *answer, model, self.redactor)
        if row.answer is None:
            return entry
        return entry.model_copy(update={"prediction_id": row.answer.logged.prediction_id})

    def _log(self, rows: list[Row], model: VersionedModel) -> str:
        try:
            pairs = zip(rows, answers_and_digests(rows, model), strict=True)
            self.log.append([self._entry(row, answer, model) for row, answer in pairs])
        except (*ROW_ERRORS, TrafficError):
            return "failed"
        return "logged"
