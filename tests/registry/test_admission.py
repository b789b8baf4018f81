"""Who may retrain now: one of many, never twice, not too early, not too often, not in vain."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline_steps.registry.admission import Request, admit
from pipeline_steps.registry.ledger import Ledger, LedgerEntry
from pipeline_steps.registry.retrain_history import (
    ADMITTED,
    EVENTS,
    FAILED,
    FINISHED,
    RESUMED,
    unfinished,
)
from pipeline_steps.retrain_params import RetrainParams

POLICY = RetrainParams(cool_down_hours=0.0, failures_in_a_row=3)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(f"sqlite:///{tmp_path}/ledger.db")


def ask(
    ledger: Ledger, trigger: str, *, policy: RetrainParams = POLICY, hours: float = 0.0,
    n_fresh: int = 200, minutes: float | None = 1.0,
) -> LedgerEntry:  # fmt: skip
    about = {"champion": 1}
    request = Request(trigger, "drift", n_fresh, needed=100, about=about, minutes=minutes)
    now = datetime.now(UTC) + timedelta(hours=hours)
    return admit(ledger, "desk", request, policy, actor="test", now=now)


def end(ledger: Ledger, trigger: str, event: str = FINISHED, **evidence: Any) -> None:
    evidence = {"trigger": trigger, "promoted": True, "minutes": 1.0, **evidence}
    ledger.append(event, model_name="desk", actor="test", reason="", evidence=evidence)


def answer(entry: LedgerEntry) -> str:
    return str(entry.evidence["answer"])


def test_of_a_hundred_events_at_once_one_is_admitted(ledger: Ledger) -> None:
    with ThreadPoolExecutor(20) as pool:
        entries = list(pool.map(lambda i: ask(ledger, f"t{i}"), range(100)))
    assert sorted(map(answer, entries)) == ["RETRAIN"] + ["WAIT"] * 99
    assert sum(e.event == ADMITTED for e in ledger.entries("desk")) == 1
    assert ledger.verify() == []


def test_one_event_that_comes_a_hundred_times_is_one_event(ledger: Ledger) -> None:
    with ThreadPoolExecutor(20) as pool:
        entries = list(pool.map(lambda _: ask(ledger, "same"), range(100)))
    assert {e.sequence for e in entries} == {1}
    end(ledger, "same")
    assert ask(ledger, "same").event == FINISHED
    assert len(ledger.entries("desk")) == 2


def test_an_admission_that_never_ended_stands_and_others_wait_for_it(ledger: Ledger) -> None:
    first = ask(ledger, "first")
    assert answer(ask(ledger, "second")) == "WAIT"
    assert ask(ledger, "first") == first
    assert [e.evidence["trigger"] for e in unfinished(ledger.entries("desk"))] == ["first"]
    end(ledger, "first")
    assert answer(ask(ledger, "second")) == "RETRAIN"


def test_what_waits_is_written_once_for_each_reason(ledger: Ledger) -> None:
    assert [answer(ask(ledger, "few", n_fresh=7)) for _ in range(5)] == ["WAIT"] * 5
    [entry] = ledger.entries("desk")
    assert entry.reason == "7 new labelled rows; 100 are needed to learn from and to judge on"


def test_rows_that_were_learnt_from_are_no_evidence(ledger: Ledger) -> None:
    assert answer(ask(ledger, "old", n_fresh=0)) == "NO_NEW_EVIDENCE"


def test_a_retrain_rests_until_the_cool_down_is_over(ledger: Ledger) -> None:
    policy = RetrainParams(cool_down_hours=24.0)
    ask(ledger, "one", policy=policy)
    end(ledger, "one")
    waits = ask(ledger, "two", policy=policy, hours=23.9)
    assert (answer(waits), waits.reason[:33]) == ("WAIT", "the last retrain ended less than ")
    assert answer(ask(ledger, "two", policy=policy, hours=24.1)) == "RETRAIN"


def test_the_minutes_of_a_week_are_a_budget(ledger: Ledger) -> None:
    policy = RetrainParams(cool_down_hours=0.0, minutes_a_week=100.0)
    for number in range(2):
        ask(ledger, f"t{number}")
        end(ledger, f"t{number}", minutes=60.0)
    waits = ask(ledger, "third", policy=policy)
    assert waits.reason == "a retrain takes 60 minutes; 120 of 100 of this week are spent"
    assert answer(ask(ledger, "third", policy=policy, hours=169)) == "RETRAIN"


def test_a_retrain_that_would_spend_more_than_is_left_of_the_week_waits(ledger: Ledger) -> None:
    policy = RetrainParams(cool_down_hours=0.0, minutes_a_week=100.0)
    ask(ledger, "first", policy=policy)
    end(ledger, "first", minutes=51.0)
    waits = ask(ledger, "second", policy=policy)
    assert (answer(waits), waits.evidence["why"]) == ("WAIT", "budget")
    assert answer(ask(ledger, "second", policy=policy, hours=169)) == "RETRAIN"


def test_a_retrain_that_takes_more_than_a_week_has_is_refused(ledger: Ledger) -> None:
    ask(ledger, "first")
    end(ledger, "first", minutes=51.0)
    refused = ask(ledger, "second", policy=RetrainParams(cool_down_hours=0.0, minutes_a_week=50.0))
    assert answer(refused) == "REFUSE"
    assert "a week has 50: raise retrain.minutes_a_week" in refused.reason


def test_the_first_retrain_is_expected_to_take_what_the_training_took(ledger: Ledger) -> None:
    policy = RetrainParams(cool_down_hours=0.0, minutes_a_week=50.0)
    refused = ask(ledger, "first", policy=policy, minutes=51.0)
    assert (answer(refused), refused.reason[:32]) == ("REFUSE", "a retrain takes 51 minutes, a we")
    admitted = ask(ledger, "first", policy=policy, minutes=None)
    assert answer(admitted) == "RETRAIN"
    assert "how long it takes is not known" in admitted.reason
    end(ledger, "first", minutes=10.0)
    second = ask(ledger, "second", policy=policy, minutes=51.0)  # what the last took is known now
    assert second.reason == "drift: 200 new labelled rows"


def test_after_failures_in_a_row_a_person_must_look(ledger: Ledger) -> None:
    for number in range(3):
        assert answer(ask(ledger, f"t{number}")) == "RETRAIN"
        end(ledger, f"t{number}", (FAILED, FINISHED)[number % 2], promoted=False)
    refused = ask(ledger, "fourth")
    assert (answer(refused), refused.evidence["why"]) == ("REFUSE", "circuit breaker")
    ledger.append(RESUMED, model_name="desk", actor="test", reason="looked", evidence={})
    assert answer(ask(ledger, "fourth")) == "RETRAIN"


def test_a_promotion_closes_the_circuit_again(ledger: Ledger) -> None:
    for number in range(6):
        assert answer(ask(ledger, f"t{number}")) == "RETRAIN"
        end(ledger, f"t{number}", promoted=number % 3 == 2)


def test_retrains_that_people_let_pass_never_open_the_circuit(ledger: Ledger) -> None:
    for version in range(2, 8):
        assert answer(ask(ledger, f"t{version}")) == "RETRAIN"
        end(ledger, f"t{version}", promoted=False, version=version)
        ledger.move_champion(
            "desk", expected=None if version == 2 else version - 1, new=version, actor="eve",
            reason="approved", evidence={},
        )  # fmt: skip


def test_a_failed_trigger_may_be_admitted_anew(ledger: Ledger) -> None:
    ask(ledger, "t")
    end(ledger, "t", FAILED)
    assert ask(ledger, "t").event == ADMITTED
    assert len([e for e in ledger.entries("desk") if e.event in EVENTS]) == 3
