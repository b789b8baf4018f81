"""Rollback: to whom, refused, killed, overtaken; and the rehearsal of it at each promotion."""

from __future__ import annotations

from typing import Any

import pytest
from registry_builders import MODEL, decision
from toy_registry import answer_in_this_process, toy_answers, weights_of

from pipeline_steps.errors import PromotionError, RegistryError
from pipeline_steps.registry.ledger import Ledger
from pipeline_steps.registry.phases import Mover
from pipeline_steps.registry.promote import Promotion, follow_ledger, promote
from pipeline_steps.registry.recorded_answers import ANSWERS_DIGEST, answers_digest
from pipeline_steps.registry.rollback import Rollback, rollback
from pipeline_steps.registry.tracking import Tracker

LABELS = "abcd"


@pytest.fixture
def ledger_url(tmp_path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture(autouse=True)
def quick_smoke_tests(request: pytest.FixtureRequest, monkeypatch) -> None:
    """Load and ask the artifacts here, but where a test is about the fresh process."""
    if request.node.get_closest_marker("slow") is None:
        monkeypatch.setattr("pipeline_steps.registry.smoke_test._run", answer_in_this_process)


def events(ledger: Ledger) -> list[str]:
    return [entry.event for entry in ledger.entries(MODEL)]


def champions(tracker: Tracker, ledger: Ledger, *versions: int) -> None:
    """Let versions have become champion one after the other."""
    for version in versions:
        ledger.move_champion(
            MODEL, expected=ledger.champion(MODEL), new=version, actor="ada", reason="r",
            evidence={},
        )  # fmt: skip
        follow_ledger(tracker, ledger, MODEL, actor="ada")


def roll_back(tracker: Tracker, ledger: Ledger, to: int | None = None, **settings: Any) -> Rollback:
    return rollback(Mover(tracker, ledger, "ada", **settings), MODEL, to=to, reason="it is wrong")


def promote_toy(tracker: Tracker, ledger: Ledger, number: int, **settings: Any) -> Promotion:
    version, current = tracker.version(MODEL, number), ledger.champion(MODEL)
    champion = None if current is None else tracker.version(MODEL, current)
    content = {"smoke_rows": toy_answers(LABELS[number - 1]), "actor": "ada", **settings}
    return promote(tracker, ledger, version, decision(version, champion), **content)


def test_a_rollback_goes_to_who_was_champion_and_not_to_the_number_before(
    toys: Tracker, ledger: Ledger
) -> None:
    champions(toys, ledger, 1, 3)
    assert roll_back(toys, ledger) == Rollback(version=1, previous=3, moved=True)
    assert toys.aliases(MODEL) == {"champion": 1}  # there is nothing to go back to any more
    assert events(ledger)[-3:] == ["rollback_intent", "champion_moved", "rollback_confirmed"]
    move = ledger.moves(MODEL)[-1]
    assert (move.actor, move.reason, move.evidence["kind"]) == ("ada", "it is wrong", "rollback")
    assert ledger.verify() == []


def test_a_second_rollback_changes_nothing(toys: Tracker, ledger: Ledger) -> None:
    champions(toys, ledger, 1, 2, 3)
    roll_back(toys, ledger)
    before = (toys.aliases(MODEL), events(ledger))
    assert roll_back(toys, ledger) == Rollback(version=2, previous=3, moved=False)
    assert (toys.aliases(MODEL), events(ledger)) == before
    assert before[0] == {"champion": 2, "previous": 1}


def test_one_can_go_further_back_by_name(toys: Tracker, ledger: Ledger) -> None:
    champions(toys, ledger, 1, 2, 3)
    assert roll_back(toys, ledger, to=1) == Rollback(version=1, previous=3, moved=True)
    assert toys.aliases(MODEL) == {"champion": 1}
    assert roll_back(toys, ledger, to=1).moved is False


@pytest.mark.parametrize(
    ("past", "to", "refusal"),
    [
        ((), None, "intents has no champion"),
        ((1,), None, "version 1 is the first champion of intents"),
        ((1, 3), 2, "version 2 never was champion of intents"),
    ],
)
def test_there_must_be_something_to_go_back_to(
    toys: Tracker, ledger: Ledger, past: tuple[int, ...], to: int | None, refusal: str
) -> None:
    champions(toys, ledger, *past)
    before = (toys.aliases(MODEL), events(ledger))
    with pytest.raises(PromotionError, match=refusal):
        roll_back(toys, ledger, to=to)
    assert (toys.aliases(MODEL), events(ledger)) == before


def test_what_was_altered_in_the_store_is_not_gone_back_to(
    own_toys: Tracker, ledger: Ledger
) -> None:
    champions(own_toys, ledger, 1, 2)
    weights_of(own_toys, 1).write_text('"z"')
    with pytest.raises(PromotionError, match=r"smoke test of version 1 failed: row 0: answered z"):
        roll_back(own_toys, ledger)
    assert own_toys.aliases(MODEL) == {"champion": 2, "previous": 1}
    assert events(ledger)[-2:] == ["rollback_intent", "rollback_failed"]


def test_answers_that_were_altered_with_the_weights_are_found(
    own_toys: Tracker, ledger: Ledger
) -> None:
    """Who changes both the weights and the recorded answers still does not change the digest."""
    champions(own_toys, ledger, 1, 2)
    run = own_toys.version(MODEL, 1).mlflow_run_id
    [file] = weights_of(own_toys, 1).parents[2].rglob("recorded_answers.json")
    assert run in file.parts
    file.write_text(file.read_text().replace('"a"', '"z"'))
    with pytest.raises(RegistryError, match="recorded answers of version 1 of intents were alter"):
        roll_back(own_toys, ledger)
    assert own_toys.aliases(MODEL) == {"champion": 2, "previous": 1}


def test_a_version_without_recorded_answers_is_not_gone_back_to(
    toys: Tracker, ledger: Ledger
) -> None:
    champions(toys, ledger, 1, 2)
    toys.client.delete_model_version_tag(MODEL, "1", "holdfast.answers_digest")
    with pytest.raises(PromotionError, match="no recorded prediction to compare with"):
        roll_back(toys, ledger)


def test_an_old_verdict_does_not_bring_back_what_was_rolled_back(
    toys: Tracker, ledger: Ledger
) -> None:
    champions(toys, ledger, 1, 2)
    roll_back(toys, ledger)
    with pytest.raises(PromotionError, match="version 2 was taken out of service by ada on 2"):
        promote_toy(toys, ledger, 2)
    done = promote_toy(toys, ledger, 2, override="the labels were wrong, not the model")
    assert done == Promotion(version=2, previous=1, moved=True)
    move = ledger.moves(MODEL)[-1]
    assert move.reason == "by hand: the labels were wrong, not the model"
    assert (move.evidence["override"], move.evidence["verdict"]) == (True, "PROMOTE")
    roll_back(toys, ledger)
    assert toys.aliases(MODEL) == {"champion": 1}


def test_a_slow_promoter_does_not_undo_a_rollback(toys: Tracker, ledger: Ledger) -> None:
    """While it tests the artifact, another promotes the same version and somebody rolls it back.

    The champion is then the version that it was when it began.
    """
    champions(toys, ledger, 1)

    def overtake(phase: str) -> None:
        if phase == "smoke_test":
            champions(toys, ledger, 2)
            roll_back(toys, ledger)

    with pytest.raises(PromotionError, match="version 1 of intents became champion in the meant"):
        promote_toy(toys, ledger, 2, at_boundary=overtake)
    assert ledger.champion(MODEL) == 1
    assert toys.aliases(MODEL) == {"champion": 1}
    assert events(ledger)[-1] == "promotion_failed"


def test_a_promotion_in_the_meantime_stops_a_rollback(toys: Tracker, ledger: Ledger) -> None:
    champions(toys, ledger, 1, 2)

    def overtake(phase: str) -> None:
        if phase == "smoke_test":
            champions(toys, ledger, 3)

    with pytest.raises(PromotionError, match="version 3 of intents became champion in the meant"):
        roll_back(toys, ledger, at_boundary=overtake)
    assert toys.aliases(MODEL) == {"champion": 3, "previous": 2}


@pytest.mark.slow
def test_in_fresh_processes_too_a_version_comes_and_goes(toys: Tracker, ledger: Ledger) -> None:
    for number in (1, 2):
        promote_toy(toys, ledger, number)
    assert roll_back(toys, ledger) == Rollback(version=1, previous=2, moved=True)
    assert "rollback_rehearsed" in events(ledger)
    assert toys.aliases(MODEL) == {"champion": 1}


def test_the_way_back_is_rehearsed_at_each_promotion(toys: Tracker, ledger: Ledger) -> None:
    champions(toys, ledger, 1)
    promote_toy(toys, ledger, 2)
    [rehearsal] = [e for e in ledger.entries() if e.event == "rollback_rehearsed"]
    assert rehearsal.evidence == {"version": 1}
    assert events(ledger).index("rollback_rehearsed") < events(ledger).index("champion_moved", 2)


def test_the_rehearsal_asks_for_the_answers_that_the_rollback_would_ask_for(
    own_toys: Tracker, ledger: Ledger
) -> None:
    """Weights, answers and the tag of their digest were changed; the ledger knows another."""
    promote_toy(own_toys, ledger, 1)
    weights_of(own_toys, 1).write_text('"z"')
    [file] = weights_of(own_toys, 1).parents[2].rglob("recorded_answers.json")
    file.write_text(file.read_text().replace('"a"', '"z"'))
    own_toys.tag_version(
        own_toys.version(MODEL, 1), {ANSWERS_DIGEST: answers_digest(toy_answers("z"))}
    )
    assert promote_toy(own_toys, ledger, 2).moved
    [rehearsal] = [e for e in ledger.entries() if e.event == "rollback_rehearsal_failed"]
    assert "recorded answers of version 1 of intents were altered" in rehearsal.reason
    with pytest.raises(RegistryError, match="recorded answers of version 1 of intents were alter"):
        roll_back(own_toys, ledger)


def test_a_broken_way_back_is_told_and_does_not_stop_a_promotion(
    own_toys: Tracker, ledger: Ledger
) -> None:
    champions(own_toys, ledger, 1)
    weights_of(own_toys, 1).unlink()
    assert promote_toy(own_toys, ledger, 2).moved
    [rehearsal] = [e for e in ledger.entries() if e.event == "rollback_rehearsal_failed"]
    assert rehearsal.reason.startswith("the way back to version 1: the smoke test of version 1 f")
