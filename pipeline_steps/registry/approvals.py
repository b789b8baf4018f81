"""Approval by a person: asked for, answered once or lapsed; the ledger holds the state.

A request waits. It is approved, refused, or expires; whichever entry is first in the ledger is the
answer, so two people who answer at once do not both count. Time-out is a refusal. Where two pairs
of eyes are asked for, who proposed a version may take it back and not approve it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from pipeline_steps.errors import PromotionError
from pipeline_steps.gate_types import GateDecision
from pipeline_steps.registry.ledger import Ledger
from pipeline_steps.registry.ledger_chain import LedgerEntry
from pipeline_steps.registry.verdicts import last_verdict
from pipeline_steps.types import ModelVersion

REGISTERED, REQUESTED = "registered", "approval_requested"
APPROVED, REFUSED, EXPIRED = "approval_given", "approval_refused", "approval_expired"
_ANSWERS = (APPROVED, REFUSED, EXPIRED)
APPROVAL_EVENTS = (REQUESTED, *_ANSWERS)
State = Literal["waiting", "approved", "refused", "expired"]
_STATES: dict[str, State] = {APPROVED: "approved", REFUSED: "refused", EXPIRED: "expired"}


class Approval(BaseModel):
    """A request for approval and what became of it."""

    model_config = ConfigDict(frozen=True)

    version: int
    state: State
    request: LedgerEntry
    answer: LedgerEntry | None

    @property
    def expires_at(self) -> datetime:
        """The moment (UTC) from which a request without an answer is refused."""
        hours = float(self.request.evidence["hours"])
        return datetime.fromisoformat(self.request.created_at) + timedelta(hours=hours)


def request_approval(
    ledger: Ledger,
    version: ModelVersion,
    decision: GateDecision,
    *,
    actor: str,
    hours: float,
    report: str,
) -> Approval:
    """Return the request for a version that the gate lets pass; one is made for each verdict.

    Who answered, or let pass, an earlier request has said nothing of a version that was judged anew
    since: against another champion, on other data, or after a rollback.

    Parameters
    ----------
    ledger : Ledger
        Where it is written.
    version : ModelVersion
        What is to become champion.
    decision : GateDecision
        The gate's PROMOTE, which the ledger's last verdict on the version holds.
    actor : str
        Who asks.
    hours : float
        After that many hours without an answer the request is refused.
    report : str
        Where the report lies that a person reads first.
    """
    verdict = last_verdict(ledger, version.name, version.checkpoint_digest)
    about = {
        "verdict": None if verdict is None else verdict.sequence,
        "version": version.version,
        "checkpoint_digest": version.checkpoint_digest,
        "champion_digest": decision.champion_digest,
        "policy_digest": decision.policy_digest,
    }
    if not any(_is_about(a, about) for a in approvals(ledger, version.name)):
        ledger.append_once(
            REQUESTED,
            model_name=version.name,
            actor=actor,
            reason=f"version {version.version} passed the gate and waits for a person",
            evidence={**about, "hours": hours, "report": report},
        )
    return [a for a in approvals(ledger, version.name) if _is_about(a, about)][-1]


def approvals(ledger: Ledger, model_name: str) -> list[Approval]:
    """Return every request about a model with its state, oldest first."""
    return approvals_in(ledger.entries(model_name))


def approvals_in(entries: Sequence[LedgerEntry]) -> list[Approval]:
    """Return every request among the entries about one model with its state, oldest first."""
    answers = {e.evidence["request"]: e for e in reversed(entries) if e.event in _ANSWERS}
    return [_approval(e, answers.get(e.sequence)) for e in entries if e.event == REQUESTED]


def expire_overdue(ledger: Ledger, model_name: str, now: datetime | None = None) -> list[int]:
    """Return the versions whose requests had no answer in time, after the ledger says so."""
    moment = now or datetime.now(UTC)
    overdue = [
        approval
        for approval in approvals(ledger, model_name)
        if approval.state == "waiting" and approval.expires_at <= moment
    ]
    answers = [_answer(ledger, a, EXPIRED, "the clock", "no answer in time") for a in overdue]
    return [a.version for a, e in zip(overdue, answers, strict=True) if e.event == EXPIRED]


def answer_request(
    ledger: Ledger, model_name: str, version: int, *, approve: bool, actor: str, reason: str
) -> Approval:
    """Return the request about a version after it was answered; the same answer again is fine.

    Raises
    ------
    PromotionError
        If nobody asked, or it was answered otherwise or has expired.
    """
    expire_overdue(ledger, model_name)
    found = [a for a in approvals(ledger, model_name) if a.version == version]
    if not found:
        raise PromotionError(
            f"nobody asked for an approval of version {version} of {model_name}",
            expected="a version that the gate lets pass, where register.approval asks for a person",
            fix="holdfast ledger log shows what waits for an answer",
        )
    event = APPROVED if approve else REFUSED
    entry = _answer(ledger, found[-1], event, actor, reason)
    if entry.event != event:
        raise PromotionError(
            f"the request about version {version} was {_STATES[entry.event]} already, by "
            f"{entry.actor}: {entry.reason}",
            expected="a request that waits",
            fix=f"holdfast judge {version} asks again where champion, policy or data are others; "
            f"or: holdfast promote {version} --override --reason WHY",
        )
    return _approval(found[-1].request, entry)


def refuse_own_word(ledger: Ledger, model_name: str, version: int, person: str) -> None:
    """Refuse who has trained a version, or asked for its approval, as the one who lets it pass.

    A name is what somebody says it is, here as in the whole ledger; its case does not matter.

    Raises
    ------
    PromotionError
        With the entry that names the same person.
    """
    for entry in ledger.entries(model_name):
        proposes = entry.event in (REGISTERED, REQUESTED)
        if proposes and entry.evidence.get("version") == version and _same(entry.actor, person):
            raise PromotionError(
                f"{person} proposed version {version} (entry {entry.sequence} of the ledger: "
                f"{entry.event} by {entry.actor})",
                expected="the word of another person, as register.approval: four_eyes asks for",
                fix=f"let somebody else run: holdfast approve {version}",
            )


def refuse_unapproved(found: Sequence[Approval], version: int, champion: str | None) -> None:
    """Refuse a version whose last request, against today's champion, was not approved.

    Raises
    ------
    PromotionError
        With the state of the request.
    """
    asked = [
        approval
        for approval in found
        if approval.version == version and approval.request.evidence["champion_digest"] == champion
    ]
    state = asked[-1].state if asked else "never made"
    if state != "approved":
        raise PromotionError(
            f"the request for an approval of version {version} is {state}",
            expected="a person's approval, as register.approval asks for",
            fix=f"holdfast approve {version}, where it waits; holdfast judge {version} asks again "
            "where champion, policy or data are others; or: "
            f"holdfast promote {version} --override --reason WHY",
        )


def _same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


def _is_about(approval: Approval, about: Mapping[str, Any]) -> bool:
    """Return whether a request is about this; its time and its report do not matter."""
    return about.items() <= approval.request.evidence.items()


def _answer(ledger: Ledger, approval: Approval, event: str, actor: str, reason: str) -> LedgerEntry:
    return ledger.append_once(
        event,
        model_name=approval.request.model_name,
        actor=actor,
        reason=reason,
        evidence={"version": approval.version, "request": approval.request.sequence},
        unless=[other for other in _ANSWERS if other != event],
    )


def _approval(request: LedgerEntry, answer: LedgerEntry | None) -> Approval:
    return Approval(
        version=int(request.evidence["version"]),
        state="waiting" if answer is None else _STATES[answer.event],
        request=request,
        answer=answer,
    )
