"""Notifications: what a webhook is told, and that a dead one stops nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from http_servers import posting
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.commands.deploy import deploy
from flows.monitor import MonitorResult
from flows.notifying import Message, failure_told, notify, of_monitor, of_retrain
from flows.retraining.recording import RetrainResult
from flows.settings import Settings
from flows.workspace import Workspace
from pipeline_steps.drift_types import RetrainDecision
from pipeline_steps.errors import BusyError, ConfigurationError, HoldfastError, UsageError


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    content = {"ingest": {"sources": [{"path": "a.csv"}]}, "register": {"model_name": "desk"}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return Workspace.open(tmp_path)


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    with posting() as found:
        yield found


def with_settings(workspace: Workspace, **settings: Any) -> Workspace:
    return replace(workspace, settings=Settings(**settings))


SAID = Message(subject="retrain", body="FIXED: 0.5 to 0.9")


def test_a_webhook_is_told_what_was_done_and_about_which_model(
    workspace: Workspace, webhook: tuple[str, list[dict[str, Any]]]
) -> None:
    address, posted = webhook
    assert notify(with_settings(workspace, notify_url=address), SAID)
    assert posted == [
        {"text": "desk: retrain\nFIXED: 0.5 to 0.9", "model": "desk", "subject": "retrain"}
    ]


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/nobody", "no address"])
def test_a_dead_webhook_is_said_and_stops_nothing(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    assert not notify(with_settings(workspace, notify_url=address), SAID)
    assert "the notification was not taken" in capsys.readouterr().err


def test_nothing_is_sent_where_nobody_asked(workspace: Workspace) -> None:
    assert not notify(workspace, SAID)


def watched(verdict: str, reason: str, *, recorded: bool) -> MonitorResult:
    decision = RetrainDecision(
        decision_id="d1", verdict=verdict, reasons=(reason,), model_name="desk", version=1,
        minutes_left=600.0,
    )  # fmt: skip
    ids = ("d1",) if recorded else ()
    return MonitorResult(version=1, windows=(), tickets=(), decision=decision, recorded=ids)


@pytest.mark.parametrize(
    ("verdict", "subject"),
    [
        ("RETRAIN", "drift confirmed"),
        ("REFUSE", "drift confirmed, and no retrain: a person must look"),
    ],
)
def test_a_verdict_is_told_by_the_run_that_wrote_it_and_by_no_later_one(
    workspace: Workspace,
    webhook: tuple[str, list[dict[str, Any]]],
    verdict: str,
    subject: str,
) -> None:
    address, posted = webhook
    desk = with_settings(workspace, notify_url=address)
    assert notify(desk, of_monitor(watched(verdict, "20 labels say so", recorded=True)))
    assert not notify(desk, of_monitor(watched(verdict, "20 labels say so", recorded=False)))
    assert [(p["subject"], p["text"]) for p in posted] == [
        (subject, f"desk: {subject}\n20 labels say so")
    ]


@pytest.mark.parametrize("verdict", ["WAIT", "NO_NEW_EVIDENCE"])
def test_a_verdict_that_asks_for_nothing_is_not_told(verdict: str) -> None:
    assert of_monitor(watched(verdict, "so it is", recorded=True)) is None


def test_a_refused_retrain_calls_a_person_and_one_that_waits_does_not() -> None:
    refused = RetrainResult(trigger="retrain-1", answer="REFUSE", reason="3 in a row")
    waits = refused.model_copy(update={"answer": "WAIT"})
    told = of_retrain([waits, refused])
    assert told == Message(
        subject="retrain refused: a person must look", body="REFUSE: 3 in a row (retrain-1)"
    )
    assert of_retrain([waits]) is None


def test_a_failure_is_told_and_goes_on(
    workspace: Workspace, webhook: tuple[str, list[dict[str, Any]]]
) -> None:
    address, posted = webhook
    desk = with_settings(workspace, notify_url=address)
    lost = HoldfastError("the disk is full", expected="room", fix="make room")
    with pytest.raises(HoldfastError, match="the disk is full"), failure_told(desk, "retrain"):
        raise lost
    assert posted[0]["text"] == "desk: retrain failed\nthe disk is full"


@pytest.mark.parametrize("kind", [BusyError, UsageError])
def test_a_command_that_comes_at_a_bad_time_or_is_mistyped_is_told_to_nobody(
    workspace: Workspace, webhook: tuple[str, list[dict[str, Any]]], kind: type[HoldfastError]
) -> None:
    address, posted = webhook
    desk = with_settings(workspace, notify_url=address)
    with pytest.raises(kind, match="not now"), failure_told(desk, "monitor"):
        raise kind("not now", expected="e", fix="f")
    assert posted == []


def test_deploying_needs_a_server_that_stays(workspace: Workspace) -> None:
    with pytest.raises(ConfigurationError, match="PREFECT_API_URL is not set"):
        deploy(workspace, monitor="never", retrain="never", pool="holdfast")


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/api", "127.0.0.1/api"])
def test_deploying_to_a_server_that_does_not_answer_says_so(
    workspace: Workspace, address: str
) -> None:
    with (
        temporary_settings({PREFECT_API_URL: address}),
        pytest.raises(ConfigurationError, match=f"no Prefect server answers at {address}"),
    ):
        deploy(workspace, monitor="never", retrain="never", pool="holdfast")


def test_a_schedule_that_is_none_is_refused_before_a_server_is_asked(workspace: Workspace) -> None:
    with pytest.raises(ConfigurationError, match="no schedule: 'every night'"):
        deploy(workspace, monitor="every night", retrain="never", pool="holdfast")
