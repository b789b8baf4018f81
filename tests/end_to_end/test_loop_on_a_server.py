"""The loop on a real Prefect server with a worker: from a drift event to a new champion."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from builders import write_jsonl
from http_servers import posting, running
from served_workspaces import add_version, make_checkpoint
from tiny_models import save_tiny_model
from tiny_workspaces import change_params, make_workspace, sentiment_rows

from flows.commands.simulate_traffic import Rows, simulate_traffic, stream_of
from flows.monitoring.windows import open_store
from flows.registry_access import open_ledger
from flows.workspace import Workspace
from pipeline_steps.monitoring.tickets import Ticket

_CLI = "from flows.cli import main; main()"
_PREFECT = (sys.executable, "-m", "prefect")
_DEADLINE = 400.0
NO_NEWS = {"verdict": "NO_NEW_EVIDENCE"}
NOW = datetime(2026, 10, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def drifted(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Return a workspace with a champion that is always wrong, and a ticket that says so."""
    root = tmp_path_factory.mktemp("loop") / "desk"
    make_workspace(root, save_tiny_model(tmp_path_factory.mktemp("base") / "tiny"))
    change_params(root, gate={"floors": {}, "default_margin": 0.5, "calibration_margin": None})
    workspace = Workspace.open(root)
    add_version(workspace, make_checkpoint(workspace.state / "checkpoints", seed=0))
    rows = Rows(write_jsonl(root.parent / "new.jsonl", sentiment_rows(240, seed=3)))
    simulate_traffic(workspace, stream_of("none", NOW, rows=240), rows, settle=True)
    ticket = Ticket(
        ticket="drift-0123456789ab", model_name="desk", version=1, reference_digest="r",
        alarm_sequence=1, last_sequence=240, opened_at=NOW, changed_at=NOW, status="harm",
    )  # fmt: skip
    open_store(workspace).put_ticket(ticket)
    return workspace


def record_verdict(workspace: Workspace, decision: str) -> None:
    evidence = {"decision_id": decision, "verdict": "RETRAIN", "version": 1,
                "ticket": "drift-0123456789ab"}  # fmt: skip
    open_ledger(workspace).append(
        "drift_verdict", model_name="desk", actor="test", reason="r", evidence=evidence
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Yield the environment in which a Prefect server is reached."""
    directory = tmp_path_factory.mktemp("prefect")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    address = f"http://127.0.0.1:{port}/api"
    home = {"PREFECT_HOME": str(directory), "PREFECT_UI_ENABLED": "0"}
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
    with running(command, f"{address}/health", directory, **home):
        yield {**os.environ, **home, "PREFECT_API_URL": address}


def run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.timeout(1_500)
def test_a_drift_event_ends_in_a_new_champion_and_schedule_and_promotion_run_there_too(
    drifted: Workspace, server: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    with posting() as (address, posted):
        environment = {**server, "HOLDFAST_NOTIFY_URL": address}
        said = deploy(drifted, environment, monitor="never")
        assert "deployed retrain/desk" in said
        record_verdict(drifted, "decision-1")
        emit = "from flows.deployments import emit_confirmed; emit_confirmed('desk', 'decision-1')"
        with worker(environment, log):
            run([sys.executable, "-c", emit], environment)
            finished = wait_for_event(drifted, "retrain_finished", log)
            deploy(drifted, environment, monitor="* * * * *")
            watched = wait_for_event(drifted, "drift_verdict", log, NO_NEWS)
            run([*_PREFECT, "deployment", "run", "promote/desk", "-p", "version=2", "--watch"],
                environment)  # fmt: skip
    assert finished["evidence"]["promoted"]
    assert open_ledger(drifted).champion("desk") == 2
    events = [entry.event for entry in open_ledger(drifted).entries("desk")]
    assert events.count("retrain_admitted") == 1
    assert events.index("drift_verdict") < events.index("retrain_admitted")
    assert watched["evidence"]["version"] == 2
    assert [message["subject"] for message in posted] == ["retrain", "promote"]
    assert "held-back rows" in posted[0]["text"]


def deploy(workspace: Workspace, environment: dict[str, str], *, monitor: str) -> str:
    when = ["--monitor", monitor, "--retrain", "never"]
    return run(
        [sys.executable, "-c", _CLI, "deploy", "-w", str(workspace.root), *when], environment
    )


@contextmanager
def worker(environment: dict[str, str], log: Path) -> Iterator[None]:
    """Run a worker of the pool for the block."""
    with log.open("wb") as file:
        command = [*_PREFECT, "worker", "start", "--pool", "holdfast"]
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


def wait_for_event(
    workspace: Workspace, event: str, log: Path, evidence: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the first entry of an event whose evidence holds these values."""
    wanted = (evidence or {}).items()
    deadline = time.monotonic() + _DEADLINE
    while time.monotonic() < deadline:
        entries = open_ledger(workspace).entries("desk")
        found = [e for e in entries if e.event == event and wanted <= flat(e.evidence).items()]
        if found:
            return dict(json.loads(found[0].model_dump_json()))
        time.sleep(1)
    raise AssertionError(log.read_text(errors="replace")[-4_000:])


def flat(evidence: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in evidence.items() if isinstance(value, str)}
