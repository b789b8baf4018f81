"""One account of past retrains: the monitor's verdict and the admission count alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.registry.approvals import APPROVED, EXPIRED, REFUSED, REQUESTED
from pipeline_steps.registry.ledger import CHAMPION_MOVED, LedgerEntry
from pipeline_steps.registry.retrain_history import (
    ADMITTED,
    FAILED,
    FINISHED,
    RESUMED,
    last_of,
    past_retrains,
)
from pipeline_steps.retrain_runs import failures_in_a_row, last_end, minutes_spent

START = datetime(2026, 5, 20, tzinfo=UTC)


def entries(*told: tuple[str, dict[str, Any]]) -> list[LedgerEntry]:
    """Return entries of a ledger, an hour apart."""
    return [
        LedgerEntry(
            sequence=hour, created_at=(START + timedelta(hours=hour)).isoformat(), event=event,
            model_name="desk", actor="a", reason="r", evidence=evidence, previous_hash="0",
            entry_hash="1",
        )
        for hour, (event, evidence) in enumerate(told, start=1)
    ]  # fmt: skip


def ended(trigger: str, event: str, **evidence: Any) -> list[tuple[str, dict[str, Any]]]:
    about = {"trigger": trigger, "ticket": "drift-1"}
    return [(ADMITTED, about), (event, {"trigger": trigger, **evidence})]


def test_a_trigger_that_failed_twice_is_two_failures_and_its_minutes_are_added_up() -> None:
    runs = past_retrains(
        entries(*ended("t", FAILED, minutes=20.0), *ended("t", FAILED, minutes=30.0))
    )
    assert [run.outcome for run in runs] == ["failed", "failed"]
    assert failures_in_a_row(runs) == 2
    assert minutes_spent(runs, START + timedelta(days=1)) == 50.0
    assert last_end(runs) == START + timedelta(hours=4)


def test_what_a_person_has_looked_at_counts_no_more() -> None:
    told = [*ended("a", FAILED), *ended("b", FAILED), (RESUMED, {})]
    assert failures_in_a_row(past_retrains(entries(*told))) == 0
    assert failures_in_a_row(past_retrains(entries(*told, *ended("c", FAILED)))) == 1


def test_a_retrain_at_work_is_no_failure_yet() -> None:
    [run] = past_retrains(entries(*ended("a", FAILED)[:1], (RESUMED, {})))
    assert (run.outcome, run.ended_at, run.looked_at) == ("running", None, False)


def awaited(version: int) -> list[tuple[str, dict[str, Any]]]:
    """Return a retrain whose version waits for a person."""
    request = {"version": version, "hours": 1.0, "report": "r", "champion_digest": "c"}
    [admitted, finished] = ended(f"t{version}", FINISHED, version=version, promoted=False)
    return [admitted, (REQUESTED, request), finished]


def test_a_retrain_is_no_failure_while_its_version_waits_for_a_person() -> None:
    told = [*awaited(2), *awaited(3), *awaited(4)]
    runs = past_retrains(entries(*told))
    assert [run.outcome for run in runs] == ["waiting"] * 3
    assert failures_in_a_row(runs) == 0


@pytest.mark.parametrize(
    ("answer", "outcome"), [(APPROVED, "promoted"), (REFUSED, "rejected"), (EXPIRED, "rejected")]
)
def test_the_answer_of_a_person_decides_how_a_retrain_ended(answer: str, outcome: str) -> None:
    moved = [(CHAMPION_MOVED, {"version": 2, "previous": 1})] if answer == APPROVED else []
    told = [*awaited(2), (answer, {"version": 2, "request": 2}), *moved]
    runs = past_retrains(entries(*told))
    assert [run.outcome for run in runs] == [outcome]
    assert failures_in_a_row(runs) == (outcome == "rejected")


def test_a_champion_that_was_one_before_the_retrain_ended_says_nothing_of_it() -> None:
    told = [(CHAMPION_MOVED, {"version": 2, "previous": 1}), *ended("t", FINISHED, version=2)]
    assert failures_in_a_row(past_retrains(entries(*told))) == 1


END = st.sampled_from(["promoted", "rejected", "failed", "killed"])


@given(st.lists(st.one_of(st.tuples(st.sampled_from("ab"), END), st.just(RESUMED)), max_size=12))
def test_failures_are_those_since_a_promotion_or_a_persons_word(told: list[Any]) -> None:
    written: list[tuple[str, dict[str, Any]]] = []
    failures = 0
    for step in told:
        if step == RESUMED:
            written, failures = [*written, (RESUMED, {})], 0
            continue
        trigger, outcome = step
        standing = last_of(entries(*written), trigger)
        goes_on = standing is not None and standing.event == ADMITTED  # it was killed
        written += [] if goes_on else ended(trigger, FINISHED)[:1]
        if outcome != "killed":
            event = FAILED if outcome == "failed" else FINISHED
            written += ended(trigger, event, promoted=outcome == "promoted")[1:]
            failures = 0 if outcome == "promoted" else failures + 1
    assert failures_in_a_row(past_retrains(entries(*written))) == failures
