"""``holdfast shadow``: traffic through two versions, labels of disagreements, a verdict on them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tiny_workspaces import change_params, sentiment_rows
from warm_commands import WarmCommands

from flows.workspace import Workspace
from pipeline_steps.monitoring.traffic import LoggedPrediction, TrafficLog

START = datetime(2026, 3, 1, tzinfo=UTC)
SPAN = ("--since", "2026-03-01", "--until", "2026-03-02")
LEARNS = {"epochs": 8, "learning_rate": 2e-2, "batch_tokens": 128}
pytestmark = pytest.mark.slow


@pytest.fixture
def logged(
    snapshots, holdfast: WarmCommands, trained: tuple[Path, dict[str, Any]]
) -> tuple[Path, dict[str, str]]:
    """Return a workspace with a guessing champion, a challenger that learnt, and logged traffic."""

    def make(root: Path) -> None:
        snapshots.restore("trained", lambda _: None)
        change_params(root, finetune=LEARNS)
        ended = holdfast("train", "--json", "--no-promote", cwd=root, skip=["reproduce_data"])
        assert ended.code == 0, ended.stderr
        assert (ended.printed["version"], ended.printed["verdict"]) == (2, "PROMOTE")

    root = snapshots.restore("challenged", make)[0]
    rows = sentiment_rows(120, seed=7)
    name = Workspace.open(root).params.register_.model_name
    texts = [*(row["text"] for row in rows), rows[0]["text"]]
    TrafficLog(Workspace.open(root).traffic_url).append(
        LoggedPrediction(
            prediction_id=f"p{i}", request_id=f"r{i}", created_at=START + timedelta(seconds=i),
            model_name=name, version=1, example={"text": text}, output={"label": "plus"},
        )
        for i, text in enumerate(texts)
    )  # fmt: skip
    return root, {row["text"]: row["label"] for row in rows}


def fill_in(file: Path, label: Callable[[dict[str, str]], str]) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, lines[0].keys())
        writer.writeheader()
        writer.writerows({**line, "label": label(line)} for line in lines)
    return lines


def shadow(holdfast: WarmCommands, root: Path, *words: str) -> dict[str, Any]:
    ended = holdfast("shadow", *words, "--json", cwd=root)
    assert ended.code == 0, ended.stderr
    return dict(ended.printed)


def judge(holdfast: WarmCommands, root: Path) -> dict[str, Any]:
    ended = holdfast("train", "--json", "--no-promote", cwd=root, skip=["reproduce_data"])
    assert ended.code == 0, ended.stderr
    return dict(ended.printed)


def checks(root: Path, result: dict[str, Any]) -> str:
    return (root / ".holdfast/runs" / result["fingerprint"][:16] / "decision.json").read_text()


def test_disagreements_are_labelled_and_the_verdict_rests_on_them(
    holdfast: WarmCommands, logged: tuple[Path, dict[str, str]]
) -> None:
    root, truth = logged
    found = shadow(holdfast, root, *SPAN, "--export", "ask.csv")
    run = found["run"]
    assert (run["n"], run["n_repeated"], run["n_unread"]) == (120, 1, 0)
    assert found["n_waiting"] == len(run["different"]) > 10
    lines = fill_in(root / "ask.csv", lambda line: truth[line["text"]])
    asked = {line["prediction_id"]: {line["answer_a"], line["answer_b"]} for line in lines}
    assert asked == {
        d["prediction_id"]: {d["champion"]["label"], d["challenger"]["label"]}
        for d in run["different"]
    }
    assert len({line["answer_a"] for line in lines}) == 2  # whose answer comes first is by chance

    before = judge(holdfast, root)
    assert before["reused"] is True
    said = holdfast("shadow", "--import", "ask.csv", cwd=root)
    assert "the gate weighs it as shadow/better_answers" in said.stdout
    evidence = shadow(holdfast, root, *SPAN)["evidence"]  # it is known when it is asked again
    assert (evidence["n"], evidence["n_different"]) == (120, len(lines))
    assert evidence["n_candidate_better"] + evidence["n_champion_better"] == len(lines)
    assert evidence["n_candidate_better"] > evidence["n_champion_better"]

    after = judge(holdfast, root)
    assert (after["reused"], after["version"]) == (False, 2)
    assert "shadow/better_answers" not in checks(root, before)
    assert "non-inferiority shadow/better_answers" in checks(root, after)
    events = [e["event"] for e in holdfast.records(root)["ledger"]]
    assert events.count("shadow_evaluated") == 1
    sets = [
        e["evidence"] for e in holdfast.records(root)["ledger"] if e["event"] == "evaluation_set"
    ]
    assert [s["n"] for s in sets if s["dataset_digest"] == evidence["window_digest"]] == [120]
    run_id = holdfast("gate", "--candidate", "2", "--json", cwd=root)
    assert "shadow/better_answers" in run_id.stdout


def test_traffic_on_which_the_challenger_loses_rejects_it(
    holdfast: WarmCommands, logged: tuple[Path, dict[str, str]]
) -> None:
    root, truth = logged
    turned = {"plus": "minus", "minus": "plus"}
    shadow(holdfast, root, *SPAN, "--export", "ask.csv")
    lines = fill_in(root / "ask.csv", lambda line: turned[truth[line["text"]]])
    first = lines[0]["prediction_id"]
    fill_in(root / "ask.csv", lambda line: line["label"] * (line["prediction_id"] != first))
    result = shadow(holdfast, root, "--import", "ask.csv")
    assert (result["n_waiting"], result["evidence"]) == (1, None)  # nothing rests on a part
    assert judge(holdfast, root)["verdict"] == "PROMOTE"
    fill_in(root / "ask.csv", lambda line: line["label"] or "?")
    evidence = shadow(holdfast, root, "--import", "ask.csv")["evidence"]
    assert evidence["n"] == 119
    assert judge(holdfast, root)["verdict"] == "REJECT"
    refused = holdfast("promote", "2", cwd=root)
    assert refused.code != 0
    assert holdfast.records(root)["aliases"] == {"champion": 1}


def test_labelling_is_bounded_and_what_cannot_be_done_is_said(
    holdfast: WarmCommands, logged: tuple[Path, dict[str, str]]
) -> None:
    root, _ = logged
    run = shadow(holdfast, root, *SPAN, "--labels", "5")["run"]
    assert len(run["different"]) == 5
    assert run["n"] < 120
    assert shadow(holdfast, root, *SPAN, "--rows", "30")["run"]["n"] == 30
    for words, refusal in (
        (("1", *SPAN), "there is no challenger beside the champion"),
        (("--since", "2026-04-01", "--until", "2026-04-02"), "has no rows from 2026-04-01"),
        (("--since", "2026-04-02", "--until", "2026-04-01"), "a window from 2026-04-02"),
        (("--import", "none.csv"), "none.csv cannot be read as labels"),
    ):
        ended = holdfast("shadow", *words, cwd=root)
        assert ended.code != 0
        assert refusal in ended.stderr
