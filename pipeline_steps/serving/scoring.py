"""The thread that scores: one batch after another, with the model that is in place."""

from __future__ import annotations

import time
from collections.abc import Callable

from pipeline_steps.errors import ROW_ERRORS
from pipeline_steps.serving.logged_rows import answers_and_digests, logged
from pipeline_steps.serving.metrics import Metrics
from pipeline_steps.serving.redaction import Redactor
from pipeline_steps.serving.refusals import not_answered
from pipeline_steps.serving.tickets import Answer, Row, Ticket, VersionedModel
from pipeline_steps.serving.waiting import WaitingRows

_SMOOTHING = 0.1


class Scorer:
    """Takes batches of waiting rows and hands them on with their answers.

    Parameters
    ----------
    waiting : WaitingRows
        Where rows come from.
    model : callable
        Returns the model that is in place now; a batch keeps the one that it began with.
    hand_on : callable
        Is given the requests whose last row a batch has answered.
    """

    def __init__(
        self,
        waiting: WaitingRows,
        model: Callable[[], VersionedModel],
        hand_on: Callable[[list[Ticket]], None],
        redactor: Redactor,
        metrics: Metrics,
    ) -> None:
        self.waiting = waiting
        self.model = model
        self.hand_on = hand_on
        self.redactor = redactor
        self.metrics = metrics

    def run(self) -> None:
        """Score until the queue is closed and empty."""
        while (taken := self.waiting.take(self._prepare)) is not None:
            self.metrics.waiting_rows.set(len(self.waiting))
            # Another row of its request has failed: nobody waits for it.
            if rows := [row for row in taken if not row.ticket.done]:
                self._answer(rows)

    def _answer(self, rows: list[Row]) -> None:
        began = time.perf_counter()
        answered = self._score(rows, self.model())
        self._note(len(rows), time.perf_counter() - began)
        if whole := [row.ticket for row in answered if row.ticket.count_answer()]:
            self.hand_on(whole)

    def _prepare(self, rows: list[Row]) -> None:
        """Let rows know their tokens; one that cannot be read fails when its turn comes."""
        model = self.model()
        try:
            found = model.prepare([row.request for row in rows])
        except ROW_ERRORS:
            for row in rows if len(rows) > 1 else ():
                self._prepare([row])
            return
        for row, prepared in zip(rows, found, strict=True):
            row.prepared, row.prepared_by, row.tokens = prepared, model, prepared.tokens

    def _score(self, rows: list[Row], model: VersionedModel) -> list[Row]:
        """Return the rows that the model could answer; where one fails, it fails alone."""
        try:
            for row, (said, digest) in zip(rows, answers_and_digests(rows, model), strict=True):
                row.answer = Answer(said, logged(row, said, digest, model, self.redactor))
        except ROW_ERRORS as error:
            if len(rows) > 1:
                return [done for row in rows for done in self._score([row], model)]
            rows[0].ticket.fail(not_answered(error))
            return []
        return rows

    def _note(self, n: int, seconds: float) -> None:
        self.metrics.batch_rows.observe(n)
        self.metrics.batch_seconds.observe(seconds)
        known = self.waiting.seconds_a_row
        self.waiting.seconds_a_row = known + _SMOOTHING * (seconds / n - known)
