"""``holdfast promote``, ``approve``, ``refuse`` and ``rollback``: a person moves the champion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_workspaces import change_params
from warm_commands import Ended, WarmCommands

Trained = tuple[Path, dict[str, Any]]
LEARNS = {"epochs": 8, "learning_rate": 2e-2, "batch_tokens": 128}
"""What lets the tiny model learn the words; the first run's two epochs leave it guessing."""


def run(holdfast: WarmCommands, root: Path, *words: str, code: int = 0, **settings: Any) -> Ended:
    ended = holdfast(*words, cwd=root, **settings)
    assert ended.code == code, ended.stderr + ended.stdout
    return ended


def train(holdfast: WarmCommands, root: Path, *words: str) -> dict[str, Any]:
    ended = run(holdfast, root, "train", "--json", *words, skip=["reproduce_data"])
    return dict(ended.printed)


@pytest.mark.slow
def test_a_version_waits_for_approval_comes_and_is_rolled_back(
    holdfast: WarmCommands, waiting: Path, tmp_path: Path
) -> None:
    records = holdfast.records(waiting)
    assert records["aliases"] == {"champion": 1, "challenger": 2}
    assert records["ledger"][-1]["event"] == "approval_requested"
    assert Path(records["ledger"][-1]["evidence"]["report"]).exists()
    refused = run(holdfast, waiting, "promote", "2", code=5)
    assert "the request for an approval of version 2 is waiting" in refused.stderr

    approved = run(holdfast, waiting, "approve", "2", "--by", "eve", "--json").printed
    assert approved == {"version": 2, "previous": 1, "moved": True}
    assert holdfast.records(waiting)["aliases"] == {"champion": 2, "previous": 1}

    back = run(holdfast, waiting, "rollback", "--reason", "it insults people", "--json").printed
    assert back == {"version": 1, "previous": 2, "moved": True}
    again = run(holdfast, waiting, "rollback").stdout
    assert again.startswith("version 1 is champion already, nothing was moved")
    refused = run(holdfast, waiting, "promote", "2", code=5)
    assert "version 2 was taken out of service" in refused.stderr
    assert "it insults people" in refused.stderr

    copy = tmp_path / "copy.jsonl"
    run(holdfast, waiting, "ledger", "export", str(copy))
    run(holdfast, waiting, "promote", "2", "--override", "--reason", "it was the data")
    records = holdfast.records(waiting)
    assert records["aliases"] == {"champion": 2, "previous": 1}
    assert records["problems"] == []
    assert run(holdfast, waiting, "ledger", "verify", "--export", str(copy)).stdout == (
        "the ledger is whole\n"
    )
    given = [e for e in records["ledger"] if e["event"] == "approval_given"]
    assert [(e["actor"], e["evidence"]["version"]) for e in given] == [("eve", 2)]
    rehearsed = [e for e in records["ledger"] if e["event"] == "rollback_rehearsed"]
    assert [e["evidence"]["version"] for e in rehearsed] == [1, 1]


@pytest.mark.slow
def test_a_verdict_by_another_policy_than_todays_promotes_nothing_until_it_is_judged_by_todays(
    holdfast: WarmCommands, waiting: Path
) -> None:
    """A pull request that was never merged may have been judged by a laxer one."""
    change_params(waiting, gate={"default_margin": 0.02})
    run(holdfast, waiting, "approve", "2", "--by", "eve", code=5)
    refused = run(holdfast, waiting, "promote", "2", code=5)
    assert "the verdict on version 2 was made by another policy than today's" in refused.stderr
    assert "to fix it: judge it by them: holdfast judge 2" in refused.stderr
    assert holdfast.records(waiting)["aliases"]["champion"] == 1
    again = run(holdfast, waiting, "judge", "2", "--json", skip=["reproduce_data"]).printed
    assert (again["verdict"], again["reused"]) == ("PROMOTE", False)
    assert "is waiting" in run(holdfast, waiting, "promote", "2", code=5).stderr  # asked anew
    run(holdfast, waiting, "approve", "2", "--by", "eve")
    assert holdfast.records(waiting)["aliases"] == {"champion": 2, "previous": 1}


@pytest.mark.slow
def test_a_refused_version_is_no_challenger_and_cannot_be_approved(
    holdfast: WarmCommands, waiting: Path
) -> None:
    said = run(holdfast, waiting, "refuse", "2", "--by", "eve", "--reason", "not on a Friday")
    assert said.stdout == "version 2 is refused by eve\n"
    late = run(holdfast, waiting, "approve", "2", code=5)
    assert "was refused already, by eve: not on a Friday" in late.stderr
    run(holdfast, waiting, "promote", "2", code=5)
    records = holdfast.records(waiting)
    assert (records["aliases"], records["problems"]) == ({"champion": 1}, [])


@pytest.mark.slow
def test_who_trained_a_version_is_not_the_second_pair_of_eyes(
    holdfast: WarmCommands, waiting: Path
) -> None:
    change_params(waiting, register={"approval": "four_eyes"})
    own = run(holdfast, waiting, "approve", "2", code=5)
    assert "proposed version 2" in own.stderr
    borrowed = run(holdfast, waiting, "approve", "2", "--by", "eve", code=2)
    assert "--by eve, in a command that" in borrowed.stderr
    word = ("--override", "--reason", "I am sure")
    assert "proposed version 2" in run(holdfast, waiting, "promote", "2", *word, code=5).stderr
    assert holdfast.records(waiting)["aliases"]["champion"] == 1
    run(holdfast, waiting, "approve", "2", environment={"HOLDFAST_ACTOR": "eve"})
    assert holdfast.records(waiting)["aliases"] == {"champion": 2, "previous": 1}


@pytest.mark.slow
def test_a_candidate_that_may_not_promote_stays_challenger_until_somebody_does(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, _ = trained
    change_params(root, finetune=LEARNS)
    assert train(holdfast, root, "--no-promote")["verdict"] == "PROMOTE"
    assert holdfast.records(root)["aliases"] == {"champion": 1, "challenger": 2}
    assert run(holdfast, root, "promote", "2", "--json").printed["moved"] is True
    assert run(holdfast, root, "promote", "2", "--json").printed["moved"] is False
    records = holdfast.records(root)
    assert (records["aliases"], records["problems"]) == ({"champion": 2, "previous": 1}, [])


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (("promote", "7"), "there is no version 7 of workspace"),
        (("promote", "1", "--override"), "--override without --reason"),
        (("promote", "1", "--reason", "because"), "--reason without --override"),
        (("rollback",), "version 1 is the first champion of workspace"),
        (("rollback", "--to", "7"), "version 7 never was champion of workspace"),
        (("approve", "1"), "nobody asked for an approval of version 1 of workspace"),
        (("refuse", "1"), "nobody asked for an approval of version 1 of workspace"),
        (("ledger", "verify", "--export", "none"), "the export none cannot be read"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_cannot_be_done_is_said(
    holdfast: WarmCommands, trained: Trained, words: tuple[str, ...], refusal: str
) -> None:
    ended = holdfast(*words, cwd=trained[0])
    assert ended.code in (2, 5)
    assert refusal in ended.stderr


@pytest.mark.slow
def test_aliases_that_were_moved_by_hand_follow_the_ledger_again(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, _ = trained
    holdfast(cwd=root, task="warm_commands.remove_champion_alias")
    assert run(holdfast, root, "ledger", "verify", code=1).stdout.startswith("the alias champion")
    assert run(holdfast, root, "ledger", "follow").stdout == "champion: version 1\n"
    run(holdfast, root, "ledger", "verify")
