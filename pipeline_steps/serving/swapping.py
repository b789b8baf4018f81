"""The thread that keeps the champion in place: it looks who it is, loads, warms up, switches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from pipeline_steps.errors import ROW_ERRORS, HoldfastError
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.serving.service import Service
from pipeline_steps.serving.shadow import Shadow
from pipeline_steps.serving.tickets import Request, VersionedModel

_RETENTION_SECONDS = 3_600.0
_LONGEST_PAUSE = 600.0
_SAMPLES: dict[str, Any] = {
    "head_start": 0, "head_end": 1, "tail_start": 2, "tail_end": 3,
    "messages": '[{"role": "user", "content": "a b c"}]', "candidates": ["a", "b"],
}  # fmt: skip


class Versions(Protocol):
    """Where the versions are decided and kept."""

    def champion(self) -> int | None:
        """Return the number of today's champion."""
        ...

    def challenger(self) -> int | None:
        """Return the number of today's challenger."""
        ...

    def load(self, number: int) -> VersionedModel:
        """Return a version, ready to answer."""
        ...


class Pauses:
    """When a version that could not be loaded is tried again: each time after twice as long.

    Parameters
    ----------
    first : float
        Seconds after the first failure.
    clock : callable
        Seconds, never going back.
    """

    def __init__(self, first: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.first = first
        self.clock = clock
        self._failed: dict[int, tuple[float, float]] = {}

    def over(self, number: int) -> bool:
        """Return whether a version may be tried now."""
        until, _ = self._failed.get(number, (float("-inf"), 0.0))
        return self.clock() >= until

    @contextmanager
    def trying(self, number: int) -> Iterator[None]:
        """Begin a longer pause where the block fails, and forget the version where it does not."""
        _, last = self._failed.get(number, (0.0, self.first / 2))
        loaded = False
        try:
            yield
            loaded = True
        finally:
            self._failed.pop(number, None)
            if not loaded:
                pause = min(2 * last, _LONGEST_PAUSE)
                self._failed[number] = (self.clock() + pause, pause)


class ChampionWatch:
    """Polls for the champion, and for the challenger where one is shadowed.

    Until the first champion is in place an error ends the service. Later ones are said and tried
    again after a pause, while the old champion goes on answering.

    Parameters
    ----------
    service : Service
        Whose model is switched.
    versions : Versions
        Who is champion, and how it is loaded.
    say : callable
        Told what happened, for the operator.
    forget : callable
        Lets the log forget some of what it must, and returns how many rows those were: called
        about once an hour, and at each look while there are more.
    settled : callable
        Called when a version has been put in place.
    """

    def __init__(
        self,
        service: Service,
        versions: Versions,
        problem: str,
        *,
        say: Callable[[str], None],
        forget: Callable[[], int] = lambda: 0,
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        self.service = service
        self.versions = versions
        self.sample = sample_request(problem)
        self.say = say
        self.forget = forget
        self.settled = settled
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._guarded, name="champion", daemon=True)
        self._forget_next = float("-inf")
        # Who becomes champion is tried at once, whatever happened to it in the shadow.
        self._champions, self._challengers = (Pauses(service.params.poll_seconds) for _ in "ab")

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Stop looking; a model that is being loaded is waited for."""
        self._stop.set()
        self._thread.join()

    def _guarded(self) -> None:
        ended_well = False
        try:
            self._run()
            ended_well = True
        finally:
            if not ended_well:
                self.service.fail(self.service.error)

    def _run(self) -> None:
        self.look()
        if not self.service.ready:
            return
        while not self._stop.wait(self.service.params.poll_seconds):
            self.look()
            if time.monotonic() >= self._forget_next:
                self._forget_next = time.monotonic() + _RETENTION_SECONDS
                self._try(self._forget)

    def _forget(self) -> None:
        if self.forget():
            self._forget_next = time.monotonic()

    def look(self) -> None:
        """Put today's champion in place, and today's challenger in its shadow."""
        self._try(self._look_for_champion)
        if self.service.shadow is not None:
            shadow = self.service.shadow
            self._try(lambda: self._look_for_challenger(shadow))

    def _look_for_champion(self) -> None:
        old, number = self.service.model, self.versions.champion()
        new = None if number is None else self._loaded(number, old, self._champions)
        if new is None:
            return
        self.service.switch(new)
        self.service.metrics.swaps.labels("done").inc()
        before = "" if old is None else f", after version {old.version}"
        self.say(f"version {number} of {new.name} answers{before}")
        self.settled()

    def _look_for_challenger(self, shadow: Shadow) -> None:
        number = self.versions.challenger()
        if number is None:
            shadow.model = None
        elif new := self._loaded(number, shadow.model, self._challengers):
            shadow.model = new
            self.say(f"version {number} answers in the shadow")
            self.settled()

    def _loaded(
        self, number: int, in_place: VersionedModel | None, pauses: Pauses
    ) -> VersionedModel | None:
        """Return a version that has shown that it answers what is asked today.

        ``None``: it is in place already, or its next trial is still to come.
        """
        if in_place is not None and in_place.version == number:
            return None
        if not pauses.over(number):
            return None
        with pauses.trying(number):
            model = self.versions.load(number)
            for request in (self.sample, *tuple(self.service.recent)):
                model.answer([request])
        return model

    def _try(self, work: Callable[[], object]) -> None:
        try:
            work()
        except (*ROW_ERRORS, OSError, MemoryError) as error:
            self.service.metrics.swaps.labels("failed").inc()
            if self.service.model is None:
                self.service.error = error if isinstance(error, HoldfastError) else None
                raise
            said = error if isinstance(error, HoldfastError) else repr(error)
            self.say(f"holdfast: {said}\n  the version in place goes on answering")


def sample_request(problem: str) -> Request:
    """Return a request of a problem that every model of it can answer.

    Examples
    --------
    >>> sample_request("question_answering")
    {'question': 'a b c', 'context': 'a b c'}
    """
    fields = get_problem(problem).inputs
    wanted = [field for field in fields if field.required] or list(fields[:1])
    return {field.name: _SAMPLES.get(field.name, "a b c") for field in wanted}
