"""The loop on a Prefect server: what is deployed, and what a drift event starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_workspaces import make_workspace
from warm_commands import WarmCommands

REPOSITORY = Path(__file__).resolve().parents[2]
SCHEDULES = {
    "flows.deployments.monitor": ["*/15 * * * *"],
    "flows.deployments.retrain": ["7 3 * * 1"],
    "flows.deployments.promote": [],
    "flows.orchestrated.approval": [],
}


@pytest.fixture(scope="session")
def emitted(holdfast: WarmCommands, tiny_base: Path, tmp_path_factory) -> dict[str, Any]:
    """Return what a server knows after drift events of this and of another model."""
    root = make_workspace(tmp_path_factory.mktemp("loop") / "desk", tiny_base)
    ended = holdfast(cwd=root, task="prefect_loop.show_drift_event")
    assert ended.code == 0, ended.stderr
    return {**ended.printed, "root": str(root), "said": ended.stderr}


@pytest.mark.slow
def test_three_events_of_one_decision_start_one_run_that_knows_its_id(
    emitted: dict[str, Any],
) -> None:
    started = [run["parameters"] for run in emitted["runs"] if run["created_by"] == "AUTOMATION"]
    assert started == [{"directory": emitted["root"], "decision": "decision-1"}]


def test_a_deployment_that_is_applied_again_is_there_once(emitted: dict[str, Any]) -> None:
    assert emitted["deployed"] == [
        f"{name}/desk" for name in ("monitor", "retrain", "promote", "approval")
    ]
    assert sorted(emitted["automations"]) == [
        "approval.requested of desk", "drift.confirmed of desk",
    ]  # fmt: skip


def test_schedules_are_those_that_were_asked_for(emitted: dict[str, Any]) -> None:
    assert emitted["schedules"] == SCHEDULES


def test_blocks_take_notifications_of_a_failure_by_the_names_of_the_settings(
    emitted: dict[str, Any],
) -> None:
    told = emitted["told"]
    assert told["posted"] == [{"text": "desk: retrain failed: there is no champion to retrain"}]
    [mail] = told["mails"]
    assert "20 labels say so" in mail
    assert "Subject: desk: drift confirmed" in mail
    assert told["slack"] == "NotifySlack"


def test_a_block_that_is_not_there_is_said_and_hides_no_failure(emitted: dict[str, Any]) -> None:
    assert emitted["told"]["said"] == ["there is no champion to retrain"] * 2
    assert "the block email/nobody took no notification" in emitted["said"]


def test_the_file_for_prefects_own_command_line_says_what_deploy_does() -> None:
    content = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text(encoding="utf-8"))
    entrypoints = [d["entrypoint"].rsplit(".", 1) for d in content["deployments"]]
    assert {module for module, _ in entrypoints} == {"flows.deployments", "flows.orchestrated"}
    triggered = {
        d["entrypoint"]: d["triggers"][0] for d in content["deployments"] if "triggers" in d
    }
    params = yaml.safe_load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
    model = f"holdfast.model.{params['register']['model_name']}"
    assert {
        entrypoint: (trigger["expect"], trigger["parameters"], trigger["match"])
        for entrypoint, trigger in triggered.items()
    } == {
        f"flows.{flow}": (
            [event],
            {"directory": ".", carried: f"{{{{ event.payload.{carried} }}}}"},
            {"prefect.resource.id": model},
        )
        for flow, event, carried in (
            ("deployments.retrain", "drift.confirmed", "decision"),
            ("orchestrated.approval", "approval.requested", "version"),
        )
    }
    schedules = {
        d["entrypoint"]: [s["cron"] for s in d.get("schedules", [])] for d in content["deployments"]
    }
    assert schedules == SCHEDULES
