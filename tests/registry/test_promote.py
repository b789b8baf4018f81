"""Promotion: refused, failed, killed at each boundary, raced; there is one champion afterwards."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import warm_registry
from registry_builders import MODEL, decision, recorded_answers, register_checkpoint

from pipeline_steps.errors import PromotionError
from pipeline_steps.gate_types import Verdict
from pipeline_steps.registry.ledger import Ledger
from pipeline_steps.registry.promote import Promotion, follow_ledger, promote
from pipeline_steps.registry.recorded_answers import answers_digest
from pipeline_steps.registry.smoke_test import SmokeRow
from pipeline_steps.registry.tracking import Tracker
from pipeline_steps.types import Checkpoint

CHAMPION_MOVED, CONFIRMED = "champion_moved", "promotion_confirmed"
_PATIENCE = 200.0  # seconds, on a busy machine
PROMOTE = """
import json, os, signal, sys

request = json.loads(sys.argv[1])
sys.path.append(request["tests"])
import warm_registry
from pipeline_steps.errors import PromotionError
from pipeline_steps.registry.ledger import Ledger
from pipeline_steps.registry.promote import promote
from pipeline_steps.registry.smoke_test import SmokeRow
from pipeline_steps.registry.tracking import Tracker
from pipeline_steps.gate_types import GateDecision

warm_registry.install()


def at_boundary(phase):
    if phase == request["die"]:
        os.kill(os.getpid(), signal.SIGKILL)
    if phase == request["wait"]:
        print("ready", flush=True)
        sys.stdin.readline()


tracker = Tracker(request["tracking_uri"], "file:///unused", "tests")
try:
    done = promote(
        tracker,
        Ledger(request["ledger"]),
        tracker.version("intents", request["version"]),
        GateDecision.model_validate(request["decision"]),
        smoke_rows=[SmokeRow.model_validate(row) for row in request["rows"]],
        actor="bob",
        at_boundary=at_boundary,
    )
    print(done.model_dump_json())
except PromotionError as error:
    print(error.received)
"""


def events(ledger: Ledger) -> list[str]:
    return [entry.event for entry in ledger.entries(MODEL)]


def aliases(tracker: Tracker) -> dict[str, int]:
    return {
        name: int(version)
        for name, version in tracker.client.get_registered_model(MODEL).aliases.items()
    }


def promote_version(
    tracker: Tracker,
    ledger: Ledger,
    version: int,
    answers: list[list[SmokeRow]],
    *,
    champion: int | None,
    **replaced: Any,
) -> Promotion:
    """Promote one of the three versions, judged against another."""
    candidate = tracker.version(MODEL, version)
    against = None if champion is None else tracker.version(MODEL, champion)
    content = {"smoke_rows": answers[version - 1], "actor": "ada"}
    return promote(tracker, ledger, candidate, decision(candidate, against), **(content | replaced))


def start_promoter(
    tracker: Tracker,
    ledger_url: str,
    version: int,
    rows: list[SmokeRow],
    *,
    champion: int,
    die: str | None = None,
    wait: str | None = None,
) -> subprocess.Popen[str]:
    """Return a process that promotes, dies where it is told to, or waits there for a line."""
    warm_registry.start()
    candidate = tracker.version(MODEL, version)
    said = decision(candidate, tracker.version(MODEL, champion))
    request = {
        "tracking_uri": tracker.tracking_uri, "ledger": ledger_url, "version": version,
        "decision": said.model_dump(mode="json"), "rows": [row.model_dump() for row in rows],
        "die": die, "wait": wait, "tests": str(Path(warm_registry.__file__).parent),
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-P", "-c", PROMOTE, json.dumps(request)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def make_champion(tracker: Tracker, ledger: Ledger, version: int, previous: int | None) -> None:
    """Let the ledger and the aliases say that a version is champion, without a smoke test."""
    ledger.move_champion(
        MODEL, expected=previous, new=version, actor="ada", reason="r", evidence={}
    )
    follow_ledger(tracker, ledger, MODEL, actor="ada")


@pytest.fixture(scope="session")
def answers(checkpoints: list[Checkpoint]) -> list[list[SmokeRow]]:
    return [recorded_answers(checkpoint) for checkpoint in checkpoints]


@pytest.fixture
def ledger_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.mark.usefixtures("fresh_smoke_tests")
def test_the_first_version_becomes_champion_and_its_artifact_stays_as_it_is(
    stocked: Tracker, stocked_registry: Path, ledger: Ledger, answers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    stocked.set_alias(MODEL, "challenger", 1)
    phases: list[str] = []
    done = promote_version(stocked, ledger, 1, answers, champion=None, at_boundary=phases.append)
    assert done == Promotion(version=1, previous=None, moved=True)
    assert phases == ["intent", "smoke_test", "moved", "previous", "alias", "confirmed"]
    assert aliases(stocked) == {"champion": 1}
    assert events(ledger) == ["promotion_intent", CHAMPION_MOVED, CONFIRMED]
    move = ledger.entries()[1]
    assert (move.actor, move.reason) == ("ada", "better on test; and on shift")
    assert move.evidence == {
        "kind": "promotion",
        "answers_digest": answers_digest(answers[0]),
        "checkpoint_digest": stocked.version(MODEL, 1).checkpoint_digest,
        "policy_digest": "policy",
        "version": 1,
        "previous": None,
    }
    assert ledger.verify() == []
    assert not list((stocked_registry.parent / "artifacts").rglob("__pycache__"))


@pytest.mark.slow
def test_previous_is_who_was_champion_and_not_the_number_before(
    stocked: Tracker, ledger: Ledger, answers
) -> None:
    make_champion(stocked, ledger, 1, None)
    done = promote_version(stocked, ledger, 3, answers, champion=1)
    assert done == Promotion(version=3, previous=1, moved=True)
    assert aliases(stocked) == {"champion": 3, "previous": 1}
    confirmed = ledger.entries()[-1]
    assert (confirmed.event, confirmed.evidence["previous"]) == (CONFIRMED, 1)


@pytest.mark.slow
def test_a_version_that_was_champion_before_can_be_it_again(
    stocked: Tracker, ledger: Ledger, answers
) -> None:
    make_champion(stocked, ledger, 1, None)
    make_champion(stocked, ledger, 2, 1)
    assert promote_version(stocked, ledger, 1, answers, champion=2).previous == 2
    assert aliases(stocked) == {"champion": 1, "previous": 2}


def test_promoting_the_champion_again_changes_nothing(
    stocked: Tracker, ledger: Ledger, answers
) -> None:
    make_champion(stocked, ledger, 1, None)
    make_champion(stocked, ledger, 2, 1)
    before = (aliases(stocked), events(ledger))
    done = promote_version(stocked, ledger, 2, answers, champion=1)
    assert done == Promotion(version=2, previous=1, moved=False)
    assert (aliases(stocked), events(ledger)) == before


def test_another_challenger_stays_one(stocked: Tracker, ledger: Ledger, answers) -> None:
    stocked.set_alias(MODEL, "challenger", 3)
    make_champion(stocked, ledger, 1, None)
    assert aliases(stocked) == {"champion": 1, "challenger": 3}


@pytest.mark.parametrize("verdict", [Verdict.HOLD, Verdict.REJECT, Verdict.INCONCLUSIVE])
def test_no_other_verdict_promotes(
    stocked: Tracker, ledger: Ledger, answers, verdict: Verdict
) -> None:
    version = stocked.version(MODEL, 1)
    with pytest.raises(PromotionError, match=f"the gate says {verdict} of version 1"):
        promote(
            stocked, ledger, version, decision(version, None, verdict), smoke_rows=answers[0],
            actor="ada",
        )  # fmt: skip
    assert (aliases(stocked), events(ledger)) == ({}, [])


def test_a_decision_about_another_checkpoint_is_refused(
    stocked: Tracker, ledger: Ledger, answers
) -> None:
    other = decision(stocked.version(MODEL, 2), None)
    with pytest.raises(PromotionError, match="about another checkpoint than version 1"):
        promote(
            stocked, ledger, stocked.version(MODEL, 1), other, smoke_rows=answers[0], actor="ada"
        )
    assert (aliases(stocked), events(ledger)) == ({}, [])


@pytest.mark.parametrize("judged_against", [None, 2])
def test_a_decision_against_another_champion_is_refused(
    stocked: Tracker, ledger: Ledger, answers, judged_against: int | None
) -> None:
    make_champion(stocked, ledger, 1, None)
    before = (aliases(stocked), events(ledger))
    with pytest.raises(PromotionError, match="against another champion than version 1"):
        promote_version(stocked, ledger, 3, answers, champion=judged_against)
    assert (aliases(stocked), events(ledger)) == before


def assert_failed(tracker: Tracker, ledger: Ledger, reason: str) -> None:
    """Assert that version 1 is still the champion and the ledger says why 2 is not."""
    assert aliases(tracker) == {"champion": 1}
    assert ledger.champion(MODEL) == 1
    assert events(ledger)[2:] == ["promotion_intent", "promotion_failed"]
    assert ledger.entries()[-1].evidence["version"] == 2
    assert reason in ledger.entries()[-1].reason
    assert ledger.verify() == []


def test_answers_that_differ_from_the_recorded_ones_leave_the_champion(
    stocked: Tracker, ledger: Ledger, answers
) -> None:
    make_champion(stocked, ledger, 1, None)
    first, *others = answers[1]
    wrong = first.model_copy(update={"score": first.score - 0.002})
    with pytest.raises(PromotionError, match="smoke test of version 2 failed: row 1: answered"):
        promote_version(
            stocked, ledger, 2, answers, champion=1, smoke_rows=[others[0], wrong, *others]
        )
    assert_failed(stocked, ledger, f"recorded {wrong.answer['label']} ({wrong.score:.4f})")


def test_an_artifact_that_was_altered_in_the_store_leaves_the_champion(
    tracker: Tracker, ledger: Ledger, answers, checkpoints: list[Checkpoint], tmp_path: Path
) -> None:
    for checkpoint in checkpoints[:2]:
        register_checkpoint(tracker, checkpoint)
    make_champion(tracker, ledger, 1, None)
    weights = sorted((tmp_path / "artifacts").rglob("model.safetensors"))
    altered = next(path for path in weights if checkpoints[1].path.name in path.parts)
    content = bytearray(altered.read_bytes())
    content[-1] ^= 1
    altered.write_bytes(content)
    with pytest.raises(PromotionError, match="is truncated or was altered"):
        promote_version(tracker, ledger, 2, answers, champion=1)
    assert_failed(tracker, ledger, "is truncated or was altered")


@pytest.mark.slow
def test_an_artifact_whose_code_is_gone_leaves_the_champion(
    tracker: Tracker, ledger: Ledger, answers, checkpoints: list[Checkpoint], tmp_path: Path
) -> None:
    """The code that is installed here would answer, but is not what was registered."""
    for checkpoint in checkpoints[:2]:
        register_checkpoint(tracker, checkpoint)
    make_champion(tracker, ledger, 1, None)
    run = tracker.version(MODEL, 2).mlflow_run_id
    (code,) = (tmp_path / "artifacts" / run).rglob("code/pipeline_steps/inference/predictor.py")
    code.unlink()
    with pytest.raises(PromotionError, match="No module named 'pipeline_steps"):
        promote_version(tracker, ledger, 2, answers, champion=1)
    assert_failed(tracker, ledger, "No module named")


@pytest.mark.usefixtures("fresh_smoke_tests")
def test_an_artifact_that_does_not_answer_in_time_leaves_the_champion(
    stocked: Tracker, ledger: Ledger, answers
) -> None:
    make_champion(stocked, ledger, 1, None)
    with pytest.raises(PromotionError, match=r"no answer within 0\.2 s"):
        promote_version(stocked, ledger, 2, answers, champion=1, timeout=0.2)
    assert_failed(stocked, ledger, "no answer within 0.2 s")


def test_without_recorded_answers_nothing_is_promoted(
    stocked: Tracker, ledger: Ledger, answers
) -> None:
    make_champion(stocked, ledger, 1, None)
    with pytest.raises(PromotionError, match="no recorded prediction to compare with"):
        promote_version(stocked, ledger, 2, answers, champion=1, smoke_rows=[])
    assert_failed(stocked, ledger, "no recorded prediction")


@pytest.mark.parametrize(
    ("phase", "left_champion", "left_aliases"),
    [
        ("intent", 1, {"champion": 1}),
        pytest.param("smoke_test", 1, {"champion": 1}, marks=pytest.mark.slow),
        ("moved", 3, {"champion": 1}),
        pytest.param("rehearsal", 1, {"champion": 1}, marks=pytest.mark.slow),
        pytest.param("previous", 3, {"champion": 1, "previous": 1}, marks=pytest.mark.slow),
        pytest.param("confirmed", 3, {"champion": 3, "previous": 1}, marks=pytest.mark.slow),
        pytest.param("alias", 3, {"champion": 3, "previous": 1}, marks=pytest.mark.slow),
    ],
)
def test_a_promotion_that_was_killed_converges(
    stocked: Tracker,
    ledger: Ledger,
    ledger_url: str,
    answers,
    phase: str,
    left_champion: int,
    left_aliases: dict[str, int],
) -> None:
    make_champion(stocked, ledger, 1, None)
    killed = start_promoter(stocked, ledger_url, 3, answers[2], champion=1, die=phase)
    killed.communicate(timeout=_PATIENCE)
    assert killed.returncode == -signal.SIGKILL
    assert (ledger.champion(MODEL), aliases(stocked)) == (left_champion, left_aliases)
    done = promote_version(stocked, ledger, 3, answers, champion=1)
    assert done == Promotion(version=3, previous=1, moved=left_champion == 1)
    assert aliases(stocked) == {"champion": 3, "previous": 1}
    assert events(ledger).count(CHAMPION_MOVED) == 2
    assert [e.evidence["version"] for e in ledger.entries() if e.event == CONFIRMED] == [1, 3]
    assert ledger.verify() == []


def test_aliases_of_a_killed_promotion_follow_without_a_new_one(
    stocked: Tracker, ledger: Ledger
) -> None:
    make_champion(stocked, ledger, 1, None)
    ledger.move_champion(MODEL, expected=1, new=2, actor="a", reason="r", evidence={})
    for _ in range(2):
        last = follow_ledger(stocked, ledger, MODEL, actor="ada")
        assert last is not None
        assert last.evidence["version"] == 2
        assert aliases(stocked) == {"champion": 2, "previous": 1}
        assert events(ledger).count(CONFIRMED) == 2


def test_a_model_without_a_champion_is_left_alone(stocked: Tracker, ledger: Ledger) -> None:
    assert follow_ledger(stocked, ledger, MODEL, actor="ada") is None
    assert (aliases(stocked), events(ledger)) == ({}, [])


@pytest.mark.slow
def test_of_two_racing_promoters_one_wins(
    stocked: Tracker, ledger: Ledger, ledger_url: str, answers
) -> None:
    make_champion(stocked, ledger, 1, None)
    racers = {
        version: start_promoter(
            stocked, ledger_url, version, answers[version - 1], champion=1, wait="smoke_test"
        )
        for version in (2, 3)
    }
    for racer in racers.values():
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    said = {
        version: racer.communicate("go\n", timeout=_PATIENCE)[0]
        for version, racer in racers.items()
    }
    (winner,) = (version for version, words in said.items() if words.startswith("{"))
    loser = 5 - winner
    assert said[loser] == f"version {winner} of {MODEL} became champion in the meantime\n"
    assert json.loads(said[winner]) == {"version": winner, "previous": 1, "moved": True}
    assert aliases(stocked) == {"champion": winner, "previous": 1}
    assert ledger.champion(MODEL) == winner
    failed = [entry for entry in ledger.entries() if entry.event == "promotion_failed"]
    assert [entry.evidence["version"] for entry in failed] == [loser]
    assert events(ledger).count(CONFIRMED) == 2
    assert ledger.verify() == []


@pytest.mark.slow
def test_aliases_follow_a_champion_that_moves_while_they_are_set(
    stocked: Tracker, ledger: Ledger, answers
) -> None:
    """Another promotion, of a version judged against this one, ends between two of its steps."""
    make_champion(stocked, ledger, 1, None)

    def overtake(phase: str) -> None:
        if phase == "moved":
            make_champion(stocked, ledger, 3, 2)

    done = promote_version(stocked, ledger, 2, answers, champion=1, at_boundary=overtake)
    assert done == Promotion(version=2, previous=1, moved=True)
    assert aliases(stocked) == {"champion": 3, "previous": 2}
    confirmed = [e.evidence["version"] for e in ledger.entries() if e.event == CONFIRMED]
    assert confirmed == [1, 3]


def test_aliases_that_were_set_too_late_are_set_again(stocked: Tracker, ledger: Ledger) -> None:
    make_champion(stocked, ledger, 1, None)
    overtaken = False

    def overtake(_: str) -> None:
        nonlocal overtaken
        if not overtaken:
            overtaken = True
            ledger.move_champion(MODEL, expected=1, new=2, actor="a", reason="r", evidence={})

    follow_ledger(stocked, ledger, MODEL, actor="ada", at_boundary=overtake)
    assert overtaken
    assert aliases(stocked) == {"champion": 2, "previous": 1}
