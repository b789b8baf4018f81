"""Whether to train again: a pure function of the harm, its cost, the budget and the past."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from pydantic import NonNegativeFloat, PositiveInt

from pipeline_steps.digests import value_digest
from pipeline_steps.drift_types import RetrainDecision, RetrainVerdict
from pipeline_steps.errors import counted
from pipeline_steps.monitoring.confirm import Harm
from pipeline_steps.retrain_runs import (
    UNKNOWN_MINUTES,
    RetrainRun,
    failures_in_a_row,
    last_end,
    minutes_spent,
)
from pipeline_steps.types import Value

_LETTERS = 32
Answer = tuple[RetrainVerdict, str, str]
"""The verdict, its reason in a word or two and in a sentence."""


class Budget(Value):
    """What retraining may cost, and when it must wait for time or for a person."""

    cool_down_hours: NonNegativeFloat = 24.0
    minutes_a_week: NonNegativeFloat = 600.0
    failures_in_a_row: PositiveInt = 3


class Worth(Value):
    """What an error and a retrain cost, in one currency; with ``error_cost`` 0 it is not asked.

    ``recovered``: share of the excess risk that a retrain is expected to take away.
    ``hysteresis``: by how much the risk that was measured must lie above the line for a second
    retrain within ``hysteresis_days`` of the last.
    """

    error_cost: NonNegativeFloat = 0.0
    minute_cost: NonNegativeFloat = 1.0
    label_cost: NonNegativeFloat = 0.0
    recovered: NonNegativeFloat = 0.5
    review_days: NonNegativeFloat = 30.0
    hysteresis: NonNegativeFloat = 0.02
    hysteresis_days: NonNegativeFloat = 14.0


class Facts(Value):
    """What is known at ``now``; ``ticket`` and ``harm`` are ``None`` where no ticket is live.

    ``n_labelled``: rows with labels that no training has seen; ``minutes`` a retrain is expected to
    take, ``None`` where nothing tells.
    """

    model_name: str
    version: int
    now: datetime
    ticket: str | None = None
    window: tuple[int, int] | None = None
    harm: Harm | None = None
    joined: int = 0
    rows_a_day: NonNegativeFloat = 0.0
    n_labelled: int = 0
    least_labelled: int = 0
    minutes: NonNegativeFloat | None = None
    runs: tuple[RetrainRun, ...] = ()


def decide(facts: Facts, budget: Budget, worth: Worth) -> RetrainDecision:
    """Return the verdict: the first reason that stands against a retrain, or RETRAIN.

    NO_NEW_EVIDENCE: nothing is harmful, or all of it was acted on. WAIT: time, labels or a running
    retrain will change the answer. REFUSE: a person must change something first.
    """
    left = max(budget.minutes_a_week - minutes_spent(facts.runs, facts.now), 0.0)
    objection = next(_objections(facts, budget, worth, left), None)
    verdict, why, reason = objection or (RetrainVerdict.RETRAIN, "harm", _why(facts))
    unknown = objection is None and facts.minutes is None
    about = {
        "model": facts.model_name,
        "version": facts.version,
        "ticket": facts.ticket,
        "verdict": verdict,
        "attempt": sum(run.ticket == facts.ticket for run in facts.runs),
    }
    if verdict != RetrainVerdict.RETRAIN:  # another reason is another event; other numbers are not
        about["reason"] = why
    return RetrainDecision(
        decision_id=value_digest(about)[:_LETTERS],
        verdict=verdict,
        reasons=(reason, UNKNOWN_MINUTES) if unknown else (reason,),
        model_name=facts.model_name,
        version=facts.version,
        ticket=facts.ticket,
        window=facts.window,
        minutes_left=round(left, 2),
    )


def _objections(facts: Facts, budget: Budget, worth: Worth, left: float) -> Iterator[Answer]:
    yield from _of_evidence(facts)
    yield from _of_the_past(facts, budget, worth)
    yield from _of_cost(facts, budget, worth, left)


def _of_evidence(facts: Facts) -> Iterator[Answer]:
    none, wait = RetrainVerdict.NO_NEW_EVIDENCE, RetrainVerdict.WAIT
    if facts.ticket is None:
        yield none, "no ticket", "no ticket is open: every alarm so far was settled"
    elif facts.harm is None or facts.harm.verdict == "open":
        n = 0 if facts.harm is None else facts.harm.n
        waits = f"{facts.ticket} waits for labels: {counted(n, 'label')} did not decide"
        yield wait, "labels outstanding", waits
    elif facts.harm.verdict == "benign":
        benign = f"{facts.ticket} is benign: the risk is below {facts.harm.line:.3f}"
        yield none, "benign", benign
    if facts.ticket is not None:
        acted = [r for r in facts.runs if r.ticket == facts.ticket and r.outcome == "promoted"]
        if acted:
            yield none, "promoted", f"a retrain for {facts.ticket} was promoted already"


def _of_the_past(facts: Facts, budget: Budget, worth: Worth) -> Iterator[Answer]:
    failures = failures_in_a_row(facts.runs)
    if failures >= budget.failures_in_a_row:
        yield (
            RetrainVerdict.REFUSE,
            "circuit breaker",
            f"{counted(failures, 'retrain')} in a row brought no new champion: a person must look",
        )
    if any(run.outcome == "running" for run in facts.runs):
        yield RetrainVerdict.WAIT, "running", "a retrain is running"
    if any(run.outcome == "waiting" and run.ticket == facts.ticket for run in facts.runs):
        waits = "the version of its retrain waits for a person: holdfast approve"
        yield RetrainVerdict.WAIT, "approval", waits
    last = last_end(facts.runs)
    if last is not None and facts.now - last < timedelta(hours=budget.cool_down_hours):
        until = (last + timedelta(hours=budget.cool_down_hours)).isoformat("T", "minutes")
        yield RetrainVerdict.WAIT, "cool-down", f"the cool-down lasts until {until}"
    yield from _within_hysteresis(facts, worth, last)


def _within_hysteresis(facts: Facts, worth: Worth, last: datetime | None) -> Iterator[Answer]:
    if last is None or facts.harm is None:
        return
    needed, risk = facts.harm.line + worth.hysteresis, facts.harm.risk or 0.0
    soon = facts.now - last < timedelta(days=worth.hysteresis_days)
    if soon and risk < needed:
        reason = f"so soon after a retrain a risk of {needed:.3f} is needed; it is {risk:.3f}"
        yield RetrainVerdict.WAIT, "too soon", reason


def _of_cost(facts: Facts, budget: Budget, worth: Worth, left: float) -> Iterator[Answer]:
    minutes = facts.minutes or 0.0
    if minutes > budget.minutes_a_week:
        yield (
            RetrainVerdict.REFUSE,
            "longer than a week's minutes",
            f"a retrain takes {minutes:.0f} minutes, a week has {budget.minutes_a_week:g}",
        )
    if minutes > left or not left:
        yield (
            RetrainVerdict.WAIT,
            "budget",
            f"a retrain takes {minutes:.0f} minutes, {left:.0f} are left this week",
        )
    if facts.n_labelled < facts.least_labelled:
        yield (
            RetrainVerdict.WAIT,
            "few rows",
            f"{counted(facts.n_labelled, 'new labelled row')}, {facts.least_labelled} are needed",
        )
    yield from _not_worth_it(facts, worth)


def _not_worth_it(facts: Facts, worth: Worth) -> Iterator[Answer]:
    """Yield a refusal if what is saved until the next review is less than what is spent."""
    if not worth.error_cost or facts.harm is None:
        return
    excess = max(facts.harm.ci_low - facts.harm.line, 0.0) * worth.recovered
    saved = excess * facts.rows_a_day * worth.review_days * worth.error_cost
    spent = (facts.minutes or 0.0) * worth.minute_cost + facts.least_labelled * worth.label_cost
    if saved <= spent:
        yield (
            RetrainVerdict.REFUSE,
            "not worth it",
            f"it would save {saved:.0f} until the next review and cost {spent:.0f}",
        )


def _why(facts: Facts) -> str:
    if facts.harm is None:
        return "harm is confirmed"
    return (
        f"{facts.ticket}: {counted(facts.harm.n, 'label')} confirm a risk above "
        f"{facts.harm.line:.3f} (between {facts.harm.ci_low:.3f} and {facts.harm.ci_high:.3f})"
    )
