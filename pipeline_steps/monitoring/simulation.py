"""A seeded stream of later traffic: rows from before, and a shift that sets in as it is told to.

Times are synthetic, so a month passes in seconds; labels have a time of their own, later than that
of their rows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import cos, pi
from typing import Any, Literal

from pipeline_steps.errors import DataError
from pipeline_steps.monitoring.late_labels import late_label
from pipeline_steps.noise import perturb
from pipeline_steps.problems.problem import Problem

Drift = Literal["none", "abrupt", "gradual", "seasonal", "harmless", "label-only"]
DRIFTS: tuple[Drift, ...] = ("none", "abrupt", "gradual", "seasonal", "harmless", "label-only")
_TYPO_RATE = 0.15
_PERIODS = 2  # of a season in one stream


@dataclass(frozen=True)
class Stream:
    """What a simulation plays.

    Parameters
    ----------
    drift : Drift
        abrupt: from the onset on; gradual: ever more of it; seasonal: it comes and goes;
        harmless: "hi, ... thanks" around each text, or thanks behind it where an answer lies in the
        text, from the onset on; label-only: the texts stay, the right answers change.
    rows : int
        Rows in all.
    onset : float
        Share of the stream that passes before anything shifts.
    start : datetime
        Time of the first row.
    days : float
        From the first row to the last.
    label_share : float
        Share of the rows that get a label.
    label_hours : float
        Mean hours from a row to its label (exponentially distributed).
    seed : int
        Same seed, same stream.
    """

    drift: Drift
    rows: int
    start: datetime
    onset: float = 0.5
    days: float = 30.0
    label_share: float = 1.0
    label_hours: float = 24.0
    seed: int = 0


@dataclass(frozen=True)
class Arrival:
    """One example as it arrives: its name, its time, and its right answer, when that comes."""

    name: str
    at: datetime
    row: Mapping[str, Any]
    label: Any
    labelled_at: datetime | None
    shifted: bool


def arrivals(
    stream: Stream,
    before: Sequence[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]],
    problem: Problem,
) -> Iterator[Arrival]:
    """Yield the rows of a stream in the order of their times.

    Parameters
    ----------
    stream : Stream
        What is played.
    before, after : sequence of mapping
        Examples; where the drift is a shift of the texts and there are no rows from after it, those
        from before get typos.
    problem : Problem
        Whose examples they are.

    Raises
    ------
    DataError
        If there are no rows from before, or their labels shall change and they have none.
    """
    if not before:
        raise DataError("no rows to play", expected="rows from before a shift", fix="name a file")
    generator = random.Random(stream.seed)  # noqa: S311 - a simulation, no secret
    changed = _changes(stream, before, after, problem, generator)
    pool, shifted_pool = _endless(before, generator), _endless(after or before, generator)
    for number in range(stream.rows):
        shifted = generator.random() < shifted_share(stream, number)
        row = next(shifted_pool if shifted and stream.drift in _REPLACED else pool)
        row = changed(row) if shifted else row
        at = stream.start + timedelta(days=stream.days) * (number / max(stream.rows - 1, 1))
        answered = generator.random() < stream.label_share
        delay = timedelta(hours=generator.expovariate(1.0) * stream.label_hours)
        yield Arrival(
            name=f"{stream.drift}-{stream.seed}-{int(stream.start.timestamp())}-{number:06d}",
            at=at,
            row=row,
            label=late_label(problem.name, row) if answered else None,
            labelled_at=at + delay if answered else None,
            shifted=shifted,
        )


def shifted_share(stream: Stream, number: int) -> float:
    """Return the share of shifted rows at the place ``number`` of a stream.

    Examples
    --------
    >>> from datetime import datetime
    >>> stream = Stream("gradual", rows=101, start=datetime(2026, 1, 1), onset=0.5)
    >>> [shifted_share(stream, number) for number in (0, 50, 75, 100)]
    [0.0, 0.0, 0.5, 1.0]
    """
    place = number / max(stream.rows - 1, 1)
    if stream.drift == "none" or place < stream.onset or stream.onset >= 1.0:
        return 0.0
    if stream.drift == "gradual":
        return (place - stream.onset) / (1.0 - stream.onset)
    if stream.drift == "seasonal":
        along = (place - stream.onset) / (1.0 - stream.onset)
        return 0.5 - 0.5 * cos(2.0 * pi * _PERIODS * along)
    return 1.0


_REPLACED = ("abrupt", "gradual", "seasonal")


def _changes(
    stream: Stream,
    before: Sequence[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]],
    problem: Problem,
    generator: random.Random,
) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """Return what is done with a shifted row."""
    if stream.drift == "harmless":
        return lambda row: _polite(row, problem)
    if stream.drift == "label-only":
        moved = moved_labels(_labels(before, problem), generator)
        return lambda row: {**row, "label": moved[str(row["label"])]}
    if after:
        return lambda row: row

    def with_typos(row: Mapping[str, Any]) -> Mapping[str, Any]:
        key = str(generator.random())
        return problem.noisy(
            row, lambda text, _: perturb(text, "typos", _TYPO_RATE, seed=0, example_id=key)
        )

    return with_typos


def _polite(row: Mapping[str, Any], problem: Problem) -> Mapping[str, Any]:
    """Return the example with a greeting around its text; where answers lie in it, behind it."""
    if row["target"] is None:
        return {**row, "text": f"hi, {row['text']} thanks"}
    return problem.noisy_end(row, lambda text, _: f"{text} thanks")


def _labels(rows: Sequence[Mapping[str, Any]], problem: Problem) -> list[str]:
    found = sorted({str(row["label"]) for row in rows if row["label"] is not None})
    if not problem.has_label or not found:
        raise DataError(
            f"the rows of {problem.name} have no label that could change its meaning",
            expected="one label a row, where the drift is label-only",
            fix="play another --drift, or --shifted FILE",
        )
    return found


def moved_labels(labels: Sequence[str], generator: random.Random) -> dict[str, str]:
    """Return label -> the right answer from now on: half of the labels pass theirs in a ring."""
    half = generator.sample(list(labels), max(2, len(labels) // 2)) if len(labels) > 1 else []
    ring = dict(zip(half, half[1:] + half[:1], strict=True))
    return {name: ring.get(name, name) for name in labels}


def _endless(
    rows: Sequence[Mapping[str, Any]], generator: random.Random
) -> Iterator[Mapping[str, Any]]:
    """Yield rows in a random order, each once before any comes again."""
    while True:
        yield from generator.sample(list(rows), len(rows))
