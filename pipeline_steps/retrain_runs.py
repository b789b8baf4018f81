"""The retrains of the past as one account: how they ended, what they took, when the next may come.

The monitor that asks for a retrain and the admission that grants it read the same account.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import NonNegativeFloat

from pipeline_steps.types import Value

_WEEK = timedelta(days=7)
Outcome = Literal["running", "waiting", "promoted", "rejected", "failed"]


class RetrainRun(Value):
    """One admission of a trigger and what became of it.

    ``waiting``: it ended, and a person has yet to let its version be champion. ``minutes`` of the
    machine it took; ``looked_at``: it ended before a person said to go on.
    """

    trigger: str
    started_at: datetime
    ended_at: datetime | None = None
    minutes: NonNegativeFloat = 0.0
    outcome: Outcome = "running"
    ticket: str | None = None
    looked_at: bool = False


def last_end(runs: Sequence[RetrainRun]) -> datetime | None:
    """Return when the last retrain ended, ``None`` where none has."""
    return max((run.ended_at for run in runs if run.ended_at is not None), default=None)


def minutes_spent(runs: Sequence[RetrainRun], now: datetime) -> float:
    """Return the minutes of the retrains that ended in the seven days before now."""
    return sum(r.minutes for r in runs if r.ended_at is not None and r.ended_at > now - _WEEK)


def minutes_expected(runs: Sequence[RetrainRun], of_training: float | None) -> float | None:
    """Return the minutes of the last retrain that came to its end.

    Before the first, those of the champion's own training; ``None`` where no record tells them.
    """
    whole = [run for run in runs if run.outcome in ("waiting", "promoted", "rejected")]
    return whole[-1].minutes if whole else of_training


UNKNOWN_MINUTES = "how long it takes is not known: no retrain and no training left a record"


def failures_in_a_row(runs: Sequence[RetrainRun]) -> int:
    """Return how many of the last retrains brought no new champion.

    Counted back to one that did, or to the last that a person has looked at. One that waits for a
    person is neither.
    """
    settled = [run for run in runs if run.outcome not in ("running", "waiting")]
    count = 0
    for run in sorted(settled, key=lambda run: run.ended_at or run.started_at, reverse=True):
        if run.outcome == "promoted" or run.looked_at:
            break
        count += 1
    return count
