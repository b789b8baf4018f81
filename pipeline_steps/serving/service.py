"""The service without HTTP: a model in place, a queue, a thread that scores, one that logs."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from pipeline_steps.errors import HoldfastError
from pipeline_steps.serve_params import ServeParams
from pipeline_steps.serving.commits import GroupCommit, Log
from pipeline_steps.serving.metrics import Metrics
from pipeline_steps.serving.redaction import Redactor
from pipeline_steps.serving.refusals import log_is_behind, not_ready
from pipeline_steps.serving.scoring import Scorer
from pipeline_steps.serving.shadow import Shadow
from pipeline_steps.serving.tickets import (
    NOBODY,
    Answer,
    Request,
    Sender,
    Ticket,
    VersionedModel,
)
from pipeline_steps.serving.waiting import WaitingRows

_REMEMBERED = 16


class Service:
    """Answers requests with the model that is in place.

    Parameters
    ----------
    params : ServeParams
        Limits and batches.
    log : Log
        Keeps every answer before it is given.
    shadow_log : Log or None
        Keeps what a challenger would have answered.
    on_failure : callable
        Called once when a thread of the service died or it could not get ready; nothing is
        answered from then on.

    Attributes
    ----------
    recent : deque of Request
        The last rows that were answered. One that no model can answer is none of them: it would
        keep every new version from its place.
    """

    def __init__(
        self,
        params: ServeParams,
        log: Log,
        *,
        shadow_log: Log | None = None,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self.params = params
        self.log = log
        self.metrics = Metrics()
        self.error: HoldfastError | None = None
        self.failed = False
        self.recent: deque[Request] = deque(maxlen=_REMEMBERED)
        self.waiting = WaitingRows(
            params.queue_rows, params.batch_tokens, params.max_wait_ms / 1_000
        )
        redactor = Redactor(params.redact)
        self.commits = GroupCommit(log, self.metrics, params.queue_rows)
        self.shadow = (
            None
            if shadow_log is None
            else Shadow(shadow_log, self.waiting, redactor, self.metrics, params.queue_rows)
        )
        self._scorer = Scorer(self.waiting, self._in_place, self._hand_on, redactor, self.metrics)
        self._model: VersionedModel | None = None
        self._on_failure = on_failure
        self._open: set[Ticket] = set()
        self._threads: dict[str, threading.Thread] = {}

    @property
    def model(self) -> VersionedModel | None:
        """The model that answers; ``None`` before the first is loaded."""
        return self._model

    @property
    def ready(self) -> bool:
        """Whether there is a model that answers, and nothing is broken."""
        return self._model is not None and not self.failed

    def refuse_while_behind(self) -> None:
        """Refuse what would have to be logged while the log does not keep up.

        Raises
        ------
        RefusedRequestError
            With the seconds after which it may.
        """
        if self.commits.behind:
            raise log_is_behind()

    def start(self) -> None:
        """Start the threads."""
        works = {"scoring": self._scorer.run, "commits": self.commits.run}
        if self.shadow is not None:
            works["shadow"] = self.shadow.run
        for name, work in works.items():
            self._threads[name] = threading.Thread(
                target=self._guarded, args=(work,), name=name, daemon=True
            )
            self._threads[name].start()

    def close(self) -> None:
        """Answer what was accepted, then stop."""
        self.waiting.close()
        self._threads["scoring"].join()
        self.commits.close()
        self._threads["commits"].join()
        if self.shadow is not None:
            self.shadow.close()
            self._threads["shadow"].join()

    def submit(
        self, requests: list[Request], request_id: str, sender: Sender = NOBODY
    ) -> Future[list[Answer]]:
        """Return the future answers to the rows of a request.

        Raises
        ------
        RefusedRequestError
            If the service is not ready, too many rows wait, or the log does not keep up.
        """
        if not self.ready:
            raise not_ready()
        self.refuse_while_behind()
        ticket = Ticket.of(requests, request_id, sender, time.monotonic())
        self._open.add(ticket)
        ticket.future.add_done_callback(lambda _: self._open.discard(ticket))
        try:
            self.waiting.put(ticket.rows)
        except HoldfastError:
            self._open.discard(ticket)
            raise
        if self.failed:  # since it was asked above: fail() may not have met this ticket
            ticket.fail(not_ready())
        return ticket.future

    def switch(self, model: VersionedModel) -> None:
        """Let another model answer from the next batch on."""
        before, self._model = self._model, model
        self.metrics.answers_with(model.version, None if before is None else before.version)

    def fail(self, error: HoldfastError | None = None) -> None:
        """Answer nothing any more; what was accepted is refused."""
        self.failed, self.error = True, error
        for ticket in list(self._open):
            ticket.fail(not_ready())
        self._on_failure()

    def _in_place(self) -> VersionedModel:
        if self._model is None:
            raise not_ready()
        return self._model

    def _hand_on(self, tickets: list[Ticket]) -> None:
        self.commits.put(tickets)
        rows = [row for ticket in tickets for row in ticket.rows]
        self.recent.extend(row.request for row in rows[-_REMEMBERED:])
        if self.shadow is not None:
            self.shadow.put(rows)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Run a thread's work; a defect in it must not leave requests waiting for ever."""
        ended_well = False
        try:
            work()
            ended_well = True
        finally:
            if not ended_well:
                self.fail()
