"""Labels without an alarm of stage 1: what they mean may change while the texts stay as they were.

Rows are drawn by chance when they are read, before anybody knows their labels. Each drawn row is a
round of fair bets on a risk above the line; a Shiryaev-Roberts sum over them reaches ``A`` after
``A`` drawn rows on average at the earliest (Shin, Ramdas and Rinaldo 2022, "E-detectors"). A drawn
row without a label counts as answered right. Bets on harm grow with the loss, so the sum never lies
above that of all true labels: whoever chooses which rows get a label can hide harm, and cannot make
any up.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from pipeline_steps.digests import value_digest
from pipeline_steps.monitoring.bets import wagered
from pipeline_steps.monitoring.confirm import odds_on_harm, within_reach
from pipeline_steps.monitoring.tickets import LabelRequest, Ticket
from pipeline_steps.types import Value

Array = np.ndarray[Any, Any]
ASKED, UNASKED = "standing", "unasked"
_LETTERS = 12
_WHOLE = float(1 << 64)


class StandingDraw(Value):
    """Which rows of a version are drawn, and under which name the draw is kept.

    ``asked``: a person is asked for their labels; else those count that come anyway.
    """

    model_name: str
    version: int
    share: float
    asked: bool
    seed: int = 0

    @property
    def name(self) -> str:
        """The draw's name; another share or version is another draw."""
        how = value_digest([self.version, self.share, self.seed])[:_LETTERS]
        return f"{draw_prefix(self.model_name, asked=self.asked)}{how}"

    def takes(self, prediction_id: str) -> bool:
        """Return whether a row is drawn: a function of its id and the seed alone."""
        key = f"standing/{self.seed}/{prediction_id}".encode()
        number = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")
        return number < self.share * _WHOLE


class StandingEvidence(Value):
    """What labels of drawn rows say; ``peak`` is the largest evidence, an alarm at ``threshold``.

    ``alarm``: place among the drawn rows at which it came, ``None`` without one. ``n_asked``: rows
    whose label a person is asked for.
    """

    n_drawn: int
    n_labelled: int
    peak: float
    threshold: float
    alarm: int | None = None
    n_asked: int = 0


def draw_prefix(model_name: str, *, asked: bool) -> str:
    """Return how the names of a model's draws begin."""
    return f"{ASKED if asked else UNASKED}-{value_digest(model_name)[:_LETTERS]}-"


def drawn_rows(
    draw: StandingDraw, ids: Sequence[str], sequences: Sequence[int], first: int
) -> list[LabelRequest]:
    """Return the drawn ones of rows, in their order, from the position ``first`` on."""
    taken = [(i, s) for i, s in zip(ids, sequences, strict=True) if draw.takes(i)]
    return [
        LabelRequest(ticket=draw.name, prediction_id=i, position=position, sequence=sequence)
        for position, (i, sequence) in enumerate(taken, start=first)
    ]


def weigh_labels(losses: Sequence[float | None], line: float, threshold: float) -> StandingEvidence:
    """Return what the losses of drawn rows say, ``None`` where there is no label yet.

    Examples
    --------
    >>> weigh_labels([1.0] * 10, 0.05, 1e4).alarm, weigh_labels([1.0, None] * 5, 0.05, 1e9).alarm
    (3, None)
    """
    known = np.array([0.0 if loss is None else loss for loss in losses])
    path = evidence_path(known, line)
    over = np.flatnonzero(path >= threshold)
    return StandingEvidence(
        n_drawn=len(losses),
        n_labelled=sum(loss is not None for loss in losses),
        peak=float(path.max(initial=0.0)),
        threshold=threshold,
        alarm=int(over[0]) if len(over) else None,
    )


def evidence_path(losses: Array, line: float) -> Array:
    """Return the mean Shiryaev-Roberts sum of all bettors after each loss, (n,)."""
    odds = odds_on_harm(losses, within_reach(line)).T
    return np.asarray(wagered(np.zeros(len(odds)), odds).mean(axis=0))


def ticket_by_labels(
    draw: StandingDraw,
    evidence: StandingEvidence,
    *,
    reference_digest: str,
    sequence: int,
    last_sequence: int,
    at: datetime,
) -> Ticket:
    """Return the ticket that an alarm of the labels opens at a row of the log.

    The same labels read again open the same ticket. What it asks for are rows after the alarm:
    labels that opened it do not confirm it.
    """
    about = {
        "model": draw.model_name,
        "version": draw.version,
        "reference": reference_digest,
        "alarm": sequence,
        "by": "labels",
    }
    return Ticket(
        ticket=f"drift-{value_digest(about)[:_LETTERS]}",
        model_name=draw.model_name,
        version=draw.version,
        reference_digest=reference_digest,
        alarm_sequence=sequence,
        last_sequence=last_sequence,
        opened_at=at,
        changed_at=at,
        log_evidence=math.log(max(evidence.peak, 1.0)),
        opened_by="labels",
    )
