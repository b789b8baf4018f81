"""Tickets: an alarm becomes one, joins one, asks for labels and ends harmful, benign or unclear."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Literal

from pipeline_steps.digests import value_digest
from pipeline_steps.drift_types import DriftReport, Explanation
from pipeline_steps.monitoring.confirm import Harm
from pipeline_steps.types import Value

Status = Literal["open", "harm", "benign", "unclear", "superseded"]
SAME_CAUSE = 0.5
_ESCALATION = 2.0  # of the logarithm of the evidence
_LETTERS = 12
_WORDS = 10


class Ticket(Value):
    """One incident.

    ``open``: labels are asked for. ``harm``: confirmed. ``superseded``: another version became
    champion before it was settled, confirmed or not. ``benign``: refuted; the window became the
    accepted anchor. ``unclear``: the labels that may be asked for did not decide.

    ``ticket`` is its deterministic id; ``alarm_sequence`` the row of the log at which the alarm
    came, ``last_sequence`` the last row of the last window that belongs to it, ``last_at`` when the
    last row had been answered that the monitor knew as it was settled; ``signature`` words and
    cells that moved; ``joined`` how many later windows alarmed for the same cause;
    ``log_evidence`` the detector's wealth when it was last opened or escalated; ``left_out``
    predictions that were asked for and whose label is no answer to them: it does not count.
    ``opened_by``: the detector of texts and scores, or labels of rows that were drawn by chance.
    """

    ticket: str
    model_name: str
    version: int
    reference_digest: str
    alarm_sequence: int
    last_sequence: int
    opened_at: datetime
    changed_at: datetime
    last_at: datetime | None = None
    status: Status = "open"
    signature: tuple[str, ...] = ()
    joined: int = 0
    escalations: int = 0
    log_evidence: float = 0.0
    harm: Harm | None = None
    explanation: Explanation | None = None
    left_out: tuple[str, ...] = ()
    opened_by: Literal["texts", "labels"] = "texts"

    @property
    def live(self) -> bool:
        """Whether something is still to be done about it."""
        return self.status in ("open", "harm")

    @property
    def harmful(self) -> bool:
        """Whether its harm was confirmed: only then is there something to mend."""
        confirmed = self.harm is not None and self.harm.verdict == "harm"
        return self.status == "harm" or (self.status == "superseded" and confirmed)


class LabelRequest(Value):
    """A row whose label a ticket asks for; ``position`` is the order in which it was drawn."""

    ticket: str
    prediction_id: str
    position: int
    sequence: int
    skipped: bool = False


def ticket_of(report: DriftReport, at: datetime) -> Ticket | None:
    """Return the ticket that a window's alarm opens, ``None`` without one.

    Its id follows from model, version, reference and the row of the alarm: the same rows read
    again open the same ticket.
    """
    if report.alarm_sequence is None:
        return None
    about = {
        "model": report.model_name,
        "version": report.version,
        "reference": report.reference_digest,
        "alarm": report.alarm_sequence,
    }
    return Ticket(
        ticket=f"drift-{value_digest(about)[:_LETTERS]}",
        model_name=report.model_name,
        version=report.version,
        reference_digest=report.reference_digest,
        alarm_sequence=report.alarm_sequence,
        last_sequence=report.last_sequence,
        opened_at=at,
        changed_at=at,
        signature=signature(report.explanation),
        explanation=report.explanation,
        log_evidence=math.log(max(report.peak, 1.0)),
    )


def signature(explanation: Explanation | None) -> tuple[str, ...]:
    """Return what an incident is known by: the words and the cells that moved most."""
    return tuple(sorted(_features(explanation, _WORDS)))


def _features(explanation: Explanation | None, most: int | None) -> set[str]:
    """Return the cells that moved and so many of the words, or all."""
    if explanation is None:
        return set()
    words = {f"word:{moved.word}" for moved in explanation.words[:most]}
    return words | {f"cell:{moved.name}" for moved in explanation.clusters if moved.moved}


def likeness(a: Sequence[str], b: Sequence[str]) -> float:
    """Return the share of two signatures' features that both have (Jaccard), 0 for two empty."""
    union = set(a) | set(b)
    return len(set(a) & set(b)) / len(union) if union else 0.0


def place_alarm(new: Ticket, earlier: Sequence[Ticket], cool_down: timedelta) -> Ticket:
    """Return the ticket as it is now: an earlier one that the alarm belongs to, or the new one.

    An alarm belongs to a live ticket of the same version as long as what moved then moves still, or
    within the cool-down, and to one that ended within the cool-down for a cause that looks the
    same. Times are those of the rows: labels may come much later. A live ticket escalates where the
    evidence grew by ``e^2``.
    """
    same = next((t for t in earlier if t.ticket == new.ticket), None)
    if same is not None:
        return same
    found = [t for t in earlier if t.version == new.version and _belongs(new, t, cool_down)]
    if not found:
        return new
    return _joined(max(found, key=lambda t: (_goes_on(t, new), t.alarm_sequence)), new)


def _belongs(new: Ticket, ticket: Ticket, cool_down: timedelta) -> bool:
    if ticket.live:
        return new.opened_at - ticket.opened_at <= cool_down or _goes_on(ticket, new)
    recent = new.opened_at - (ticket.last_at or ticket.opened_at) <= cool_down
    alike = likeness(ticket.signature, new.signature) >= SAME_CAUSE
    return ticket.status in ("benign", "unclear") and recent and alike


def _goes_on(ticket: Ticket, new: Ticket) -> bool:
    """Return whether what moved at a ticket moves still, or what moves now has moved there before.

    An alarm of which one knows nothing that moved is no sign of another cause.
    """
    then, now = set(ticket.signature), set(new.signature)
    all_then = then | _features(ticket.explanation, None)
    all_now = now | _features(new.explanation, None)
    return max(_share(then, all_now), _share(now, all_then)) >= SAME_CAUSE


def _share(features: set[str], among: set[str]) -> float:
    return len(features & among) / len(features) if features else 1.0


def judged(ticket: Ticket, harm: Harm, *, label_cap: int, at: datetime) -> Ticket:
    """Return the ticket with what its labels say; at the cap without a verdict it is unclear."""
    status: Status = "open"
    if harm.verdict != "open":
        status = harm.verdict
    elif harm.n >= label_cap:
        status = "unclear"
    changed = at if status != ticket.status else ticket.changed_at
    return ticket.model_copy(update={"harm": harm, "status": status, "changed_at": changed})


def draw_requests(
    ticket: Ticket,
    candidates: Sequence[tuple[str, int]],
    earlier: Sequence[LabelRequest],
    *,
    at_a_time: int,
    label_cap: int,
    unanswered: int,
    labelled: Collection[str] = (),
) -> list[LabelRequest]:
    """Return the next rows to ask labels for: uniformly among the rows after the alarm.

    Those whose label has come already ask nobody: they are drawn like the others, and more with
    them until as many as may wait for an answer do.

    Parameters
    ----------
    candidates : sequence of (prediction id, sequence)
    earlier : sequence of LabelRequest
        Those of this ticket, whether answered or not.
    at_a_time : int
        Requests that may wait for an answer at once.
    label_cap : int
        Requests of one ticket in all; skipped ones do not count.
    unanswered : int
        Requests that wait for an answer.
    labelled : collection of str
        Prediction ids of candidates that have a label.
    """
    asked = {request.prediction_id for request in earlier}
    used = sum(not request.skipped for request in earlier)
    left = [
        prediction_id
        for prediction_id, sequence in candidates
        if sequence > ticket.alarm_sequence and prediction_id not in asked
    ]
    left.sort(key=lambda name: value_digest([ticket.ticket, name]))
    drawn = _until_enough_wait(left[: max(label_cap - used, 0)], labelled, at_a_time - unanswered)
    places = dict(candidates)
    first = max((request.position for request in earlier), default=-1) + 1
    return [
        LabelRequest(
            ticket=ticket.ticket, prediction_id=name, position=first + i, sequence=places[name]
        )
        for i, name in enumerate(drawn)
    ]


def _until_enough_wait(names: Sequence[str], labelled: Collection[str], wanted: int) -> list[str]:
    """Return the first names: so many that ``wanted`` of them have no label."""
    found: list[str] = []
    for name in names:
        if wanted <= 0:
            break
        found.append(name)
        wanted -= name not in labelled
    return found


def _joined(ticket: Ticket, new: Ticket) -> Ticket:
    grown = ticket.live and new.log_evidence >= ticket.log_evidence + _ESCALATION
    return ticket.model_copy(
        update={
            "joined": ticket.joined + 1,
            "last_sequence": max(ticket.last_sequence, new.last_sequence),
            "escalations": ticket.escalations + grown,
            "log_evidence": new.log_evidence if grown else ticket.log_evidence,
        }
    )
