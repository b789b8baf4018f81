"""Plays a stream of traffic: into the traffic log with the champion's answers, or at a service."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, Protocol

from flows.patient_posts import PatientPosts
from flows.serving import RegistryVersions
from flows.workspace import Workspace
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.monitoring.simulation import Arrival
from pipeline_steps.monitoring.traffic import LateLabel, LoggedPrediction, TrafficLog
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.problem import Problem
from pipeline_steps.serving.logged_rows import answers_and_digests, logged
from pipeline_steps.serving.redaction import Redactor
from pipeline_steps.serving.tickets import Row, Sender, Ticket, VersionedModel
from pipeline_steps.types import Value

_BATCH = 64
_SOURCE = "simulation"


class Played(Value):
    """What a simulation did; ``n_labels_to_come`` are due after the last row's time.

    ``n_known`` rows and ``n_labels_known`` labels were in the log before and stay as they were.
    """

    n_rows: int
    n_known: int
    n_shifted: int
    n_labels: int
    n_labels_known: int
    n_labels_to_come: int
    first: datetime | None
    last: datetime | None
    seconds: float


class Receiver(Protocol):
    """Where rows and labels go."""

    def predict(self, arrivals: Sequence[Arrival]) -> int:
        """Have rows answered and return how many of them are new to the log."""
        ...

    def label(self, arrivals: Sequence[Arrival]) -> int:
        """Say what the right answers were and return how many of them are new to the log."""
        ...


def play(arrivals: Iterable[Arrival], receiver: Receiver, *, settle: bool = False) -> Played:
    """Return what was played: rows in the order of their times, labels when they are due.

    With ``settle`` the labels that are due after the last row are given too.
    """
    started = time.perf_counter()
    played: list[Arrival] = []
    waiting: list[Arrival] = []
    n_labels = n_new = n_new_labels = 0
    for batch in _batches(arrivals):
        n_new += receiver.predict(batch)
        played += batch
        waiting += [arrival for arrival in batch if arrival.label is not None]
        due = [arrival for arrival in waiting if _is_due(arrival, batch[-1].at)]
        n_new_labels += receiver.label(due)
        waiting = [arrival for arrival in waiting if not _is_due(arrival, batch[-1].at)]
        n_labels += len(due)
    if settle:
        n_new_labels += receiver.label(waiting)
        n_labels, waiting = n_labels + len(waiting), []
    return Played(
        n_rows=len(played),
        n_known=len(played) - n_new,
        n_shifted=sum(arrival.shifted for arrival in played),
        n_labels=n_labels,
        n_labels_known=n_labels - n_new_labels,
        n_labels_to_come=len(waiting),
        first=played[0].at if played else None,
        last=played[-1].at if played else None,
        seconds=round(time.perf_counter() - started, 2),
    )


def _batches(arrivals: Iterable[Arrival]) -> Iterator[list[Arrival]]:
    rest = iter(arrivals)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _is_due(arrival: Arrival, now: datetime) -> bool:
    return arrival.labelled_at is not None and arrival.labelled_at <= now


@dataclass(frozen=True)
class ChampionAnswers:
    """A traffic log whose rows a version answers, and which keeps of them what a service would."""

    log: TrafficLog
    model: VersionedModel
    problem: Problem
    redactor: Redactor

    @classmethod
    def of(cls, workspace: Workspace) -> ChampionAnswers:
        """Return the traffic log of a workspace with the champion of today.

        Raises
        ------
        ConfigurationError
            If there is no champion.
        """
        versions = RegistryVersions(workspace)
        number = versions.champion()
        if number is None:
            raise ConfigurationError(
                "there is no champion to answer the traffic",
                expected="a model that was trained, judged and promoted",
                fix="holdfast train",
            )
        params = workspace.params
        redactor = Redactor(params.serve.redact)
        problem, log = get_problem(params.problem), TrafficLog(workspace.traffic_url)
        return cls(log, versions.load(number), problem, redactor)

    def predict(self, arrivals: Sequence[Arrival]) -> int:
        """Log rows with the champion's answers under their synthetic times; known ones stay."""
        known = self.log.known(arrival.name for arrival in arrivals)
        new = list({a.name: a for a in arrivals if a.name not in known}.values())
        rows = [self._row(arrival) for arrival in new]
        if rows:
            self.log.append(map(self._logged, new, rows, answers_and_digests(rows, self.model)))
        return len(rows)

    def label(self, arrivals: Sequence[Arrival]) -> int:
        """Log late labels under their synthetic times."""
        return self.log.add_labels(
            LateLabel(
                prediction_id=arrival.name,
                label=arrival.label,
                labelled_at=arrival.labelled_at,
                source=_SOURCE,
            )
            for arrival in arrivals
            if arrival.labelled_at is not None
        )

    def _row(self, arrival: Arrival) -> Row:
        request, sender = self.problem.request(arrival.row), Sender(arrival.row["domain"])
        return Ticket.of([request], arrival.name, sender, now=0.0).rows[0]

    def _logged(
        self, arrival: Arrival, row: Row, answer: tuple[Mapping[str, Any], str | None]
    ) -> LoggedPrediction:
        kept = logged(row, *answer, self.model, self.redactor)
        return kept.model_copy(update={"prediction_id": arrival.name, "created_at": arrival.at})


class RunningService:
    """A service under a URL: it answers rows and logs them in its own time.

    Parameters
    ----------
    url : str
        As ``http://127.0.0.1:8000``.
    problem : Problem
        What the service is asked.
    """

    def __init__(self, url: str, problem: Problem) -> None:
        self.posts = PatientPosts(url)
        self.problem = problem
        self.ids: dict[str, str] = {}

    def predict(self, arrivals: Sequence[Arrival]) -> int:
        """Ask the service and keep the ids of its answers: labels are sent under them."""
        by_segment: dict[str | None, list[Arrival]] = {}
        for arrival in arrivals:
            by_segment.setdefault(arrival.row["domain"], []).append(arrival)
        for segment, rows in by_segment.items():
            for part, answer in self.posts.post("predict", rows, partial(self._asked, segment)):
                for arrival, said in zip(part, answer["predictions"], strict=True):
                    self.ids[arrival.name] = str(said["prediction_id"])
        return len(arrivals)

    def label(self, arrivals: Sequence[Arrival]) -> int:
        """Send late labels; the service gives them its own time."""
        parts = self.posts.post("feedback", arrivals, self._labels)
        return sum(int(answer["added"]) for _, answer in parts)

    def _asked(self, segment: str | None, arrivals: Sequence[Arrival]) -> dict[str, Any]:
        asked = [self.problem.request(arrival.row) for arrival in arrivals]
        return {"inputs": asked, "segment": segment}

    def _labels(self, arrivals: Sequence[Arrival]) -> dict[str, Any]:
        labels = [
            {"prediction_id": self.ids[arrival.name], "label": arrival.label, "source": _SOURCE}
            for arrival in arrivals
        ]
        return {"labels": labels}
