"""The verdict on a retrain: which reason stands, and that the same facts are the same event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipeline_steps.drift_types import RetrainVerdict
from pipeline_steps.monitoring.confirm import confirm
from pipeline_steps.monitoring.decide import Budget, Facts, Worth, decide
from pipeline_steps.retrain_runs import RetrainRun, failures_in_a_row, minutes_spent

NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)
HARM = confirm([1.0] * 12 + [0.0] * 4, line=0.06, alpha=0.05)
BENIGN = confirm([0.0] * 200, line=0.06, alpha=0.05)
OPEN = confirm([1.0, 0.0, 0.0], line=0.06, alpha=0.05)


def facts(**more):
    known = {
        "model_name": "m", "version": 3, "now": NOW, "ticket": "drift-1", "window": (10, 90),
        "harm": HARM, "rows_a_day": 1_000.0, "minutes": 30.0,
    }  # fmt: skip
    return Facts(**{**known, **more})


def run(days_ago, outcome="promoted", minutes=30.0, ticket=None):
    """Return a retrain that ended some days ago, or that runs since then."""
    at = NOW - timedelta(days=days_ago)
    return RetrainRun(
        trigger="retrain-1", started_at=at, ended_at=None if outcome == "running" else at,
        minutes=minutes, outcome=outcome, ticket=ticket,
    )  # fmt: skip


def verdict(*, budget=None, worth=None, **more):
    return decide(facts(**more), budget or Budget(), worth or Worth())


def test_confirmed_harm_asks_for_a_retrain_of_its_window() -> None:
    decision = verdict()
    assert decision.verdict == RetrainVerdict.RETRAIN
    assert decision.window == (10, 90)
    assert "confirm a risk above 0.060" in decision.reasons[0]


@pytest.mark.parametrize(
    ("more", "expected", "reason"),
    [
        ({"ticket": None, "harm": None}, "NO_NEW_EVIDENCE", "no ticket is open"),
        ({"harm": OPEN}, "WAIT", "waits for labels: 2 labels"),
        ({"harm": None}, "WAIT", "waits for labels: 0 labels"),
        ({"harm": BENIGN}, "NO_NEW_EVIDENCE", "is benign"),
        ({"runs": (run(3, ticket="drift-1"),)}, "NO_NEW_EVIDENCE", "was promoted already"),
        ({"runs": (run(0.5),)}, "WAIT", "the cool-down lasts until 2026-05-21T00:00"),
        ({"runs": (run(2, "running"),)}, "WAIT", "a retrain is running"),
        ({"runs": (run(2, "waiting", ticket="drift-1"),)}, "WAIT", "waits for a person"),
        ({"runs": tuple(run(d, "rejected") for d in (9, 8, 7.5))}, "REFUSE", "a person must look"),
        ({"minutes": 601.0}, "REFUSE", "a week has 600"),
        ({"minutes": 300.0, "runs": (run(5, minutes=400.0),)}, "WAIT", "200 are left"),
        ({"minutes": None, "runs": (run(5, "failed", minutes=600.0),)}, "WAIT", "0 are left"),
        ({"least_labelled": 50, "n_labelled": 20}, "WAIT", "20 new labelled rows, 50 are needed"),
    ],
)  # fmt: skip
def test_the_first_objection_is_the_verdict(more, expected, reason) -> None:
    if more.get("harm") is OPEN:
        reason = f"waits for labels: {OPEN.n} labels"
    decision = verdict(**more)
    assert decision.verdict == expected
    assert reason in decision.reasons[0]


def test_how_long_a_first_retrain_takes_is_said_where_nothing_tells() -> None:
    assert len(verdict().reasons) == 1
    decision = verdict(minutes=None)
    assert decision.verdict == RetrainVerdict.RETRAIN
    assert decision.reasons[1].startswith("how long it takes is not known")
    assert decision.decision_id == verdict().decision_id


def test_a_second_retrain_soon_needs_clearer_harm() -> None:
    slight = HARM.model_copy(update={"risk": 0.07})
    earlier = (run(5, ticket="drift-0"),)
    assert verdict(runs=earlier, harm=slight).verdict == RetrainVerdict.WAIT
    assert verdict(runs=earlier, harm=HARM).verdict == "RETRAIN"
    assert verdict(runs=(run(20, ticket="drift-0"),), harm=slight).verdict == "RETRAIN"


def test_what_costs_more_than_it_saves_is_refused() -> None:
    worth = Worth(error_cost=0.001, minute_cost=10.0)
    decision = verdict(worth=worth)
    assert decision.verdict == RetrainVerdict.REFUSE
    assert "would save" in decision.reasons[0]
    assert verdict(worth=Worth(error_cost=1.0)).verdict == RetrainVerdict.RETRAIN


def test_the_same_facts_are_the_same_event_at_any_time() -> None:
    first, later = verdict(), verdict(now=NOW + timedelta(hours=5), rows_a_day=3.0)
    assert first.decision_id == later.decision_id
    assert first.decision_id != verdict(ticket="drift-2").decision_id
    assert first.decision_id != verdict(version=4).decision_id


def test_other_numbers_behind_the_same_reason_are_the_same_event() -> None:
    """Told anew at every run of the monitor, a refusal would be read by nobody."""
    worth = Worth(error_cost=0.001, minute_cost=10.0)
    busy, calm = (verdict(worth=worth, rows_a_day=rows) for rows in (1_000.0, 2_000.0))
    assert busy.reasons != calm.reasons
    assert busy.decision_id == calm.decision_id
    few, fewer = (verdict(least_labelled=50, n_labelled=n) for n in (20, 10))
    assert few.decision_id == fewer.decision_id != busy.decision_id


def test_a_second_attempt_at_a_ticket_is_another_event() -> None:
    again = verdict(runs=(run(3, "rejected", ticket="drift-1"),))
    assert again.verdict == RetrainVerdict.RETRAIN
    assert again.decision_id != verdict().decision_id


def test_a_hundred_events_an_hour_admit_one_retrain_a_cool_down() -> None:
    runs, admitted = (), 0
    for minute in range(60 * 72):
        now = NOW + timedelta(minutes=minute * 0.6)
        harmful = facts(now=now, runs=runs, ticket=f"drift-{minute}", minutes=30.0)
        if decide(harmful, Budget(), Worth(hysteresis=0.0)).verdict == RetrainVerdict.RETRAIN:
            admitted += 1
            days_ago = (NOW - now) / timedelta(days=1)
            runs = (*runs, run(days_ago))
    assert admitted == 2


def test_the_cool_down_begins_where_a_retrain_ends() -> None:
    long = run(0.5).model_copy(update={"started_at": NOW - timedelta(days=2)})
    assert "cool-down lasts until 2026-05-21T00:00" in verdict(runs=(long,)).reasons[0]


def test_minutes_of_a_week_and_failures_are_counted_from_the_past() -> None:
    runs = (run(8, minutes=500.0), run(6, minutes=100.0), run(1, minutes=50.0))
    assert minutes_spent(runs, NOW) == 150.0
    assert verdict(runs=runs, budget=Budget(minutes_a_week=600.0)).minutes_left == 450.0
    assert failures_in_a_row((run(5, "failed"), run(4), run(3, "rejected"), run(2, "failed"))) == 2
    assert failures_in_a_row((run(5, "failed"), run(2, "waiting"), run(1, "running"))) == 1
