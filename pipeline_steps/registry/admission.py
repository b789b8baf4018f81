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
from pipeline_steps.registry.retrain_history import (
    ADMITTED,
    FINISHED,
    TOLD,
    WAITS,
    last_of,
    past_retrains,
)
from pipeline_steps.retrain_params import RetrainParams
from pipeline_steps.retrain_runs import (
    UNKNOWN_MINUTES,
    RetrainRun,
    failures_in_a_row,
    last_end,
    minutes_expected,
    minutes_spent,
)


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
    minutes : float, optional
        That the champion's training took: what the first retrain is expected to take.
    about : dict
        Further evidence for the ledger, JSON-serialisable.
    """

    trigger: str
    kind: str
    n_fresh: int
    needed: int
    about: dict[str, Any]
    minutes: float | None = None


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
        answer, why, reason = _weigh(past_retrains(entries), request, policy, now)
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

    return ledger.decide(model_name, TOLD, rule)


def _waits(actor: str, reason: str, evidence: dict[str, Any]) -> Draft:
    return Draft(event=WAITS, actor=actor, reason=reason, evidence=evidence)


def _weigh(
    runs: Sequence[RetrainRun], request: Request, policy: RetrainParams, now: datetime
) -> tuple[Answer, str, str]:
    """Return the answer, its reason in one word and in a sentence; the gravest reason first."""
    at_work = [run.trigger for run in runs if run.outcome == "running"]
    failures = failures_in_a_row(runs)
    if failures >= policy.failures_in_a_row:
        words = f"{counted(failures, 'retrain')} in a row fixed nothing: a person must look, then"
        return Answer.REFUSE, "circuit breaker", f"{words}: holdfast retrain --resume"
    if not request.n_fresh:
        words = "every labelled row was learnt from before"
        return Answer.NO_NEW_EVIDENCE, "no new rows", words
    if at_work:
        trigger = at_work[0]
        words = f"retrain {trigger} has not ended; was it killed, then: holdfast retrain --sweep"
        return Answer.WAIT, f"after {trigger}", words
    if request.n_fresh < request.needed:
        words = f"{counted(request.n_fresh, 'new labelled row')}; {request.needed} are needed"
        return Answer.WAIT, "few rows", f"{words} to learn from and to judge on"
    takes = minutes_expected(runs, request.minutes)
    unknown = f"; {UNKNOWN_MINUTES}" if takes is None else ""
    return _afford(runs, takes or 0.0, policy, now) or (
        Answer.RETRAIN,
        "evidence",
        f"{request.kind}: {counted(request.n_fresh, 'new labelled row')}{unknown}",
    )


def _afford(
    runs: Sequence[RetrainRun], needed: float, policy: RetrainParams, now: datetime
) -> tuple[Answer, str, str] | None:
    """Return why a retrain would come too early or cost too much; ``None`` where it would not."""
    ended, rest = last_end(runs), timedelta(hours=policy.cool_down_hours)
    if ended is not None and now < ended + rest:
        until = (ended + rest).isoformat(timespec="minutes")
        words = f"the last retrain ended less than {policy.cool_down_hours:g} h ago"
        return Answer.WAIT, f"cool-down until {until}", f"{words}; after {until}"
    return _within_budget(runs, needed, policy, now)


def _within_budget(
    runs: Sequence[RetrainRun], needed: float, policy: RetrainParams, now: datetime
) -> tuple[Answer, str, str] | None:
    """Return why the minutes of a week do not suffice; the monitor's decision counts alike."""
    week, spent = policy.minutes_a_week, minutes_spent(runs, now)
    takes = f"a retrain takes {needed:.0f} minutes"
    if needed > week:
        words = f"{takes}, a week has {week:g}: raise retrain.minutes_a_week"
        return Answer.REFUSE, "longer than a week's minutes", words
    if spent < week and spent + needed <= week:
        return None
    return Answer.WAIT, "budget", f"{takes}; {spent:.0f} of {week:g} of this week are spent"
