"""Advances the searches of many rows at once, so that their questions share forward passes."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline_steps.evaluation.attacks.goals import Answer, Judged
from pipeline_steps.evaluation.attacks.oracle import Oracle, Question
from pipeline_steps.evaluation.attacks.passage import Edits, Passage
from pipeline_steps.evaluation.attacks.search import VICTIM, Ask, Attempt, Found, Search, Searching

Status = Literal["wrong", "broken", "unbroken", "unknown"]
Service = Callable[[Sequence[tuple[Passage, Edits]]], Sequence[Any]]
"""Replies to candidates of many rows, in their order."""
_CLAIMS_TOGETHER = 32


@dataclass(frozen=True)
class Limits:
    """How much an attack may ask.

    Parameters
    ----------
    max_queries : int or None
        Of the victim for one row, ranking included and the clean answer apart; None: no limit.
    max_words : int or None
        Words of one row that may be changed or put in; None: as many as the search does.
    rows_at_once : int
        Searches under way at a time: a matter of speed and memory, not of the result.
    """

    max_queries: int | None = None
    max_words: int | None = None
    rows_at_once: int = 256


@dataclass(frozen=True)
class Attacked:
    """What became of one row.

    ``status``: ``wrong`` (answered wrongly before anything was changed), ``broken``, ``unbroken``
    (all that the constraints allow was tried, and something was) or ``unknown`` (the search or its
    budget ended). ``edits`` and ``last`` are the most harmful candidate and the exact victim's
    answer to it, ``harm`` that of this answer. ``unchangeable``: the search came upon no change
    that is allowed, so that nothing was tried.
    """

    passage: Passage
    status: Status
    edits: Edits
    clean: Answer
    last: Answer
    n_queries: int
    harm: float
    unchangeable: bool = False


@dataclass(eq=False)
class _Run:
    """A search under way: what it asks, and the most harmful candidate so far.

    ``idle``: nothing shows yet that there is a change to try.
    """

    passage: Passage
    searching: Searching
    clean: Answer
    harm: float
    ask: Ask | None = None
    found: Found | None = None
    edits: Edits = field(default_factory=dict)
    broken: bool = False
    idle: bool = True
    n_queries: int = 0
    affordable: Sequence[Edits] = ()
    question: Question | None = None


class Pool:
    """Attacks rows with one search, many rows at a time.

    Parameters
    ----------
    oracle : Oracle
        Answers rows and says what counts as broken.
    search : callable
        Starts the search of one row.
    services : mapping
        What a search may ask beside the victim, by name.
    """

    def __init__(
        self, oracle: Oracle, search: Search, services: Mapping[str, Service] | None = None
    ) -> None:
        self.oracle = oracle
        self.search = search
        self.services = services or {}
        self._claiming: list[_Run] = []

    def attack(
        self, passages: Iterable[Passage], *, seed: int, limits: Limits | None = None
    ) -> Iterator[Attacked]:
        """Yield what became of each row, in the order in which the searches end."""
        limits = limits or Limits()
        waiting = iter(passages)
        active: list[_Run] = []
        while True:
            fresh = list(itertools.islice(waiting, limits.rows_at_once - len(active)))
            started = self._start(fresh, seed, limits)
            yield from (attacked for attacked in started if isinstance(attacked, Attacked))
            active += [run for run in started if isinstance(run, _Run)]
            if not active and not fresh:
                return
            self._advance(active, limits)
            yield from self._results([run for run in active if run.found is not None])
            active = [run for run in active if run.found is None]

    def _start(
        self, passages: Sequence[Passage], seed: int, limits: Limits
    ) -> list[_Run | Attacked]:
        clean = self.oracle.exact([passage.row for passage in passages])
        return [
            self._begun(passage, answer, seeded(seed, passage.example_id), limits)
            for passage, answer in zip(passages, clean, strict=True)
        ]

    def _begun(
        self, passage: Passage, clean: Answer, generator: random.Random, limits: Limits
    ) -> _Run | Attacked:
        judged = self.oracle.goal.judge(clean)
        if self.oracle.goal.lost(clean):
            return Attacked(passage, "wrong", {}, clean, clean, 0, judged.harm)
        attempt = Attempt(passage, judged, generator, limits.max_words)
        run = _Run(passage, self.search(attempt), clean, judged.harm)
        _go_on(run, None)
        return run

    def _advance(self, active: Sequence[_Run], limits: Limits) -> None:
        """Answer what every search asks, service by service, and let each go on."""
        free = [run for run in active if run not in self._claiming]
        asking = [(run, run.ask.service) for run in free if run.ask is not None]
        for name in sorted({service for _, service in asking}):
            runs = [run for run, service in asking if service == name]
            if name == VICTIM:
                self._ask_victim(runs, limits)
            else:
                self._ask_service(name, runs)
        if len(self._claiming) >= _CLAIMS_TOGETHER or not asking:
            self._settle()

    def _ask_service(self, name: str, runs: Sequence[_Run]) -> None:
        wanted = [(run, c) for run in runs for c in _candidates(run)]
        replies = iter(self.services[name]([(run.passage, c) for run, c in wanted]))
        for run in runs:
            _go_on(run, list(itertools.islice(replies, len(_candidates(run)))))

    def _ask_victim(self, runs: Sequence[_Run], limits: Limits) -> None:
        questions = []
        for run in runs:
            run.affordable = _candidates(run)[: _left(run, limits)]
            rows = [run.passage.changed(edits) for edits in run.affordable]
            run.question = Question(rows, probe=run.ask is not None and run.ask.probe)
            questions.append(run.question)
        self.oracle.answer(questions)
        self._claiming += [run for run in runs if run.question and run.question.claims]
        for run in runs:
            if run.question and not run.question.claims:
                _tell(run, run.question.judged)

    def _settle(self) -> None:
        """Prove or refute what scouts claim, many rows together: small batches cost more."""
        self.oracle.settle([run.question for run in self._claiming if run.question])
        for run in self._claiming:
            if run.question:
                _tell(run, run.question.judged)
        self._claiming = []

    def _results(self, ended: Sequence[_Run]) -> Iterator[Attacked]:
        """Yield results; the exact victim has the last word on the most harmful candidates."""
        for run in ended:
            if run.found is not None and run.found.chosen:
                run.edits = run.found.edits
        answers = self.oracle.exact([run.passage.changed(run.edits) for run in ended])
        for run, last in zip(ended, answers, strict=True):
            unbroken: Status = "unbroken" if self._proven(run) else "unknown"
            judged = self.oracle.goal.judge(last)
            status: Status = "broken" if judged.broken else unbroken
            yield Attacked(
                run.passage,
                status,
                run.edits,
                run.clean,
                last,
                run.n_queries,
                judged.harm,
                unchangeable=_unchangeable(run),
            )

    def _proven(self, run: _Run) -> bool:
        """Return whether all was tried on the victim itself: a scout's no proves nothing.

        Nor does a search that had nothing to try.
        """
        exhausted = run.found is not None and run.found.exhausted
        return exhausted and not run.idle and self.oracle.scout is None


def seeded(seed: int, example_id: str) -> random.Random:
    """Return a row's own randomness: it does not depend on other rows or their order."""
    key = hashlib.blake2b(f"{seed}:{example_id}".encode(), digest_size=8).digest()
    return random.Random(int.from_bytes(key, "little"))  # noqa: S311 - no secret


def _unchangeable(run: _Run) -> bool:
    """Return whether a search ended without coming upon a change that is allowed."""
    return run.idle and run.found is not None and not (run.found.chosen or run.found.untried)


def _candidates(run: _Run) -> Sequence[Edits]:
    return run.ask.candidates if run.ask else ()


def _left(run: _Run, limits: Limits) -> int | None:
    return None if limits.max_queries is None else max(0, limits.max_queries - run.n_queries)


def _tell(run: _Run, judged: Sequence[Judged]) -> None:
    """Note the most harmful candidate, and let the search go on if its budget is not spent."""
    run.n_queries += len(judged)
    run.idle &= run.ask is None or run.ask.probe
    results = [] if run.ask is None or run.ask.probe else zip(run.affordable, judged, strict=True)
    for edits, found in results:
        if (found.broken, found.harm) > (run.broken, run.harm):
            run.broken, run.harm, run.edits = found.broken, found.harm, edits
    if len(judged) < len(_candidates(run)):  # the budget is spent
        run.idle = False  # who knows what there was to try
        run.searching.close()
        run.ask, run.found = None, Found(run.edits)
    else:
        _go_on(run, judged)


def _go_on(run: _Run, replies: Sequence[Any] | None) -> None:
    """Let a search go on to its next question, or to its end."""
    try:
        run.ask = next(run.searching) if replies is None else run.searching.send(replies)
    except StopIteration as end:
        run.ask, run.found = None, end.value
