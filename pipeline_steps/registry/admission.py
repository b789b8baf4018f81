"""Who may retrain now: one decision in the ledger for scheduled and drift-triggered runs alike.

The state of every trigger follows from the ledger alone. A trigger has a deterministic id, so the
same event, sent twice or a hundred times, is one event; reading the past and writing the decision
are one transaction, so of any number of triggers at once one is admitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pipeline_steps.errors import counted
from pipeline_steps.registry.ledger import Draft, Ledger, LedgerEntry
from pipeline_steps.retrain_params import RetrainParams

ADMITTED, WAITS = "retrain_admitted", "retrain_not_admitted"
FINISHED, FAILED, RESUMED = "retrain_finished", "retrain_failed", "retrain_resumed"
EVENTS = (ADMITTED, WAITS, FINISHED, FAILED, RESUMED)
_WEEK = timedelta(days=7)
_ENDS = (FINISHED, FAILED)


class Answer(StrEnum):
    """What a trigger is told."""

    RETRAIN = "RETRAIN"
    WAIT = "WAIT"
    REFUSE = "REFUSE"
    NO_NEW_EVIDENCE = "NO_NEW_EVIDENCE"


@dataclass(frozen=True)
class Request:
    """A trigger that asks to be admitted.

    Parameters
    ----------
    trigger : str
        Its deterministic id.
    kind : str
        drift, scheduled or labelled.
    n_fresh : int
        Labelled rows that no retrain was given before.
    needed : int
        Rows with which the window can be judged.
    about : dict
        Further evidence for the ledger, JSON-serialisable.
    """

    trigger: str
    kind: str
    n_fresh: int
    needed: int
    about: dict[str, Any]


def admit(
    ledger: Ledger,
    model_name: str,
    request: Request,
    policy: RetrainParams,
    *,
    actor: str,
    now: datetime,
) -> LedgerEntry:
    """Return the entry that admits a trigger, or says why not; asked again, the same one.

    An admitted trigger that has not ended is admitted still: who was killed goes on. What was told
    to wait is written once for each reason.
    """

    def rule(entries: Sequence[LedgerEntry]) -> Draft | LedgerEntry:
        standing = last_of(entries, request.trigger)
        if standing is not None and standing.event in (ADMITTED, FINISHED):
            return standing
        answer, why, reason = _weigh(entries, request, policy, now)
        evidence: dict[str, Any] = {
            "trigger": request.trigger,
            "kind": request.kind,
            "answer": answer.value,
            "why": why,
        }
        if answer is Answer.RETRAIN:
            evidence |= {"n_fresh": request.n_fresh, **request.about}
            return Draft(event=ADMITTED, actor=actor, reason=reason, evidence=evidence)
        same = [e for e in entries if e.event == WAITS and e.evidence == evidence]
        return same[-1] if same else _waits(actor, reason, evidence)

    return ledger.decide(model_name, EVENTS, rule)


def unfinished(entries: Sequence[LedgerEntry]) -> list[LedgerEntry]:
    """Return the admissions that have not ended: at work in some process, or killed."""
    triggers = dict.fromkeys(e.evidence["trigger"] for e in entries if e.event == ADMITTED)
    last = [last_of(entries, trigger) for trigger in triggers]
    return [entry for entry in last if entry is not None and entry.event == ADMITTED]


def last_of(entries: Sequence[LedgerEntry], trigger: str) -> LedgerEntry | None:
    """Return the last entry that admits or ends a trigger; ``None`` before the first."""
    found = [
        entry
        for entry in entries
        if entry.event in (ADMITTED, *_ENDS) and entry.evidence["trigger"] == trigger
    ]
    return found[-1] if found else None


def _waits(actor: str, reason: str, evidence: dict[str, Any]) -> Draft:
    return Draft(event=WAITS, actor=actor, reason=reason, evidence=evidence)


def _weigh(
    entries: Sequence[LedgerEntry], request: Request, policy: RetrainParams, now: datetime
) -> tuple[Answer, str, str]:
    """Return the answer, its reason in one word and in a sentence; the gravest reason first."""
    at_work = unfinished(entries)
    failures = failures_in_a_row(entries)
    if failures >= policy.failures_in_a_row:
        words = f"{counted(failures, 'retrain')} in a row fixed nothing: a person must look, then"
        return Answer.REFUSE, "circuit breaker", f"{words}: holdfast retrain --resume"
    if not request.n_fresh:
        words = "every labelled row was learnt from before"
        return Answer.NO_NEW_EVIDENCE, "no new rows", words
    if at_work:
        trigger = at_work[0].evidence["trigger"]
        words = f"retrain {trigger} has not ended; was it killed, then: holdfast retrain --sweep"
        return Answer.WAIT, f"after {trigger}", words
    if request.n_fresh < request.needed:
        words = f"{counted(request.n_fresh, 'new labelled row')}; {request.needed} are needed"
        return Answer.WAIT, "few rows", f"{words} to learn from and to judge on"
    return _afford(entries, policy, now) or (
        Answer.RETRAIN,
        "evidence",
        f"{request.kind}: {counted(request.n_fresh, 'new labelled row')}",
    )


def _afford(
    entries: Sequence[LedgerEntry], policy: RetrainParams, now: datetime
) -> tuple[Answer, str, str] | None:
    """Return why a retrain would come too early or cost too much; ``None`` where it would not."""
    ended = [(datetime.fromisoformat(e.created_at), e) for e in entries if e.event in _ENDS]
    rest = timedelta(hours=policy.cool_down_hours)
    if ended and now < ended[-1][0] + rest:
        until = (ended[-1][0] + rest).isoformat(timespec="minutes")
        words = f"the last retrain ended less than {policy.cool_down_hours:g} h ago"
        return Answer.WAIT, f"cool-down until {until}", f"{words}; after {until}"
    spent = sum(e.evidence.get("minutes", 0.0) for at, e in ended if at > now - _WEEK)
    if spent >= policy.minutes_a_week:
        words = f"{spent:.0f} of {policy.minutes_a_week:g} minutes of this week are spent"
        return Answer.WAIT, "budget", words
    return None


def failures_in_a_row(entries: Sequence[LedgerEntry]) -> int:
    """Return how many retrains fixed nothing since one did, or since a person said to go on."""
    count = 0
    for entry in entries:
        if entry.event == RESUMED or (entry.event == FINISHED and entry.evidence["promoted"]):
            count = 0
        elif entry.event in _ENDS:
            count += 1
    return count
