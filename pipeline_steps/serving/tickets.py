"""Accepted requests and their rows, between the door and the log."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from pipeline_steps.traffic_rows import LoggedPrediction

Request = Mapping[str, Any]


class Sender(NamedTuple):
    """What a client says of its rows: the channel, and which of them belong together."""

    segment: str | None = None
    session: str | None = None


NOBODY = Sender()
"""Who says neither."""


class Prepared(Protocol):
    """A request as one model reads it."""

    @property
    def tokens(self) -> int:
        """How many tokens that are."""
        ...


class VersionedModel(Protocol):
    """A registered version that is loaded."""

    @property
    def name(self) -> str:
        """Name of the registered model."""
        ...

    @property
    def version(self) -> int:
        """Its version."""
        ...

    @property
    def precision(self) -> Mapping[str, Any]:
        """The precision that it answers in, and why."""
        ...

    def prepare(self, requests: list[Request]) -> Sequence[Any]:
        """Return each request as the model reads it: a :class:`Prepared`."""
        ...

    def answer_prepared(self, prepared: list[Any]) -> list[Mapping[str, Any]]:
        """Return the answer to each request that this model has prepared."""
        ...

    def embedding_digests(self, prepared: list[Any]) -> Sequence[str | None]:
        """Return the digest of what the model made of each row that it has just answered."""
        ...

    def answer(self, requests: list[Request]) -> list[Mapping[str, Any]]:
        """Return the answer to each request."""
        ...


@dataclass(frozen=True)
class Answer:
    """What a model said of one row, and what the log keeps of it."""

    said: Mapping[str, Any]
    logged: LoggedPrediction


@dataclass(eq=False)
class Ticket:
    """An accepted request; its future holds the answers in the order of its rows.

    Parameters
    ----------
    request_id : str
        The client's, or ours.
    sender : Sender
        As the client says.
    """

    request_id: str
    sender: Sender = NOBODY
    future: Future[list[Answer]] = field(default_factory=Future)
    rows: list[Row] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open: int = 0

    @classmethod
    def of(cls, requests: list[Request], request_id: str, sender: Sender, now: float) -> Ticket:
        """Return a ticket with a row for each request."""
        ticket = cls(request_id, sender)
        ticket.rows = [Row(request, ticket, now) for request in requests]
        ticket._open = len(requests)
        return ticket

    @property
    def done(self) -> bool:
        """Whether the request is answered, refused or given up."""
        return self.future.done()

    def count_answer(self) -> bool:
        """Count one more row that is answered, and return whether it was the last; one thread."""
        self._open -= 1
        return self._open == 0

    def settle(self) -> None:
        """Answer the request, unless it was refused meanwhile."""
        with self._lock:
            if self._claimed():
                self.future.set_result([row.answer for row in self.rows if row.answer is not None])

    def fail(self, error: BaseException) -> None:
        """Answer the request with an error, unless it is answered."""
        with self._lock:
            if self._claimed():
                self.future.set_exception(error)

    def _claimed(self) -> bool:
        """Return whether the answer is still waited for; from then on it cannot be given up."""
        return not self.done and self.future.set_running_or_notify_cancel()


@dataclass(eq=False)
class Row:
    """One row of a request."""

    request: Request
    ticket: Ticket
    arrived: float
    tokens: int = 1
    prepared: Any = None
    prepared_by: VersionedModel | None = None
    answer: Answer | None = None
