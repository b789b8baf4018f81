"""Runs the approval flow under Prefect's test harness, answers it, and prints what became of it."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))
MODEL = "intents"


def make_workspace(root: Path, hours: float) -> Any:
    """Return a workspace with toys for versions, the first of them champion."""
    from flows.commands.params_text import params_text
    from flows.workspace import Workspace
    from pipeline_steps.params import parse_params

    values = {
        "ingest": {"sources": [{"path": "data/raw.csv"}]},
        "register": {"model_name": MODEL, "experiment": "tests", "approval": "required"},
    }
    params = parse_params(values, source="this test")
    (root / "params.yaml").write_text(params_text(params))
    return Workspace.open(root)


def ask(workspace: Any, number: int, hours: float) -> None:
    """Let a version have passed the gate against today's champion, and wait."""
    from registry_builders import decision

    from flows.judging import evaluate_digest
    from flows.registry_access import champion_version, open_ledger, open_tracker
    from pipeline_steps.registry.approvals import request_approval
    from pipeline_steps.registry.gate import policy_digest

    version = open_tracker(workspace).version(MODEL, number)
    asked = {
        "policy_digest": policy_digest(workspace.params.gate),
        "evaluate_digest": evaluate_digest(workspace),
    }
    said = decision(version, champion_version(workspace)).model_copy(update=asked)
    ledger = open_ledger(workspace)
    ledger.append(
        "gate_verdict", model_name=MODEL, actor="ada", reason="PROMOTE",
        evidence={"fingerprint": "f", **said.model_dump(mode="json")},
    )  # fmt: skip
    request_approval(
        ledger, version, said, actor="ada", hours=hours, report=f"/reports/{number}.html"
    )


def run_and_answer(workspace: Any, number: int, *, approve: bool | None) -> tuple[str, str]:
    """Return the state that the flow waited in, and what it returned after the answer."""
    from prefect.client.orchestration import get_client

    from flows.orchestrated import approval

    seen: list[str] = []

    def answer() -> None:
        with get_client(sync_client=True) as client:
            while not seen:
                time.sleep(0.2)
                for run in client.read_flow_runs():
                    if run.state is not None and run.state.is_paused():
                        seen.append(run.state.name)
                        if approve is not None:
                            content = {"approve": approve, "by": "eve"}
                            client.resume_flow_run(run.id, run_input=content)

    thread = threading.Thread(target=answer)
    thread.start()
    returned = approval(str(workspace.root), number)
    thread.join()
    return seen[0], returned


def read_events(client: Any) -> list[list[Any]]:
    """Return resource and version of each event about a request, in the order of versions."""
    content = {"filter": {"event": {"name": ["approval.requested"]}}}
    for _ in range(50):
        found = client.request("POST", "/events/filter", json=content).json()["events"]
        if len(found) >= 3:
            break
        time.sleep(0.2)
    shown = [[e["resource"]["prefect.resource.id"], e["payload"]["version"]] for e in found]
    return sorted(shown, key=lambda event: event[1])


def main() -> None:
    """Approve version 2, refuse version 3, let version 4 time out."""
    from prefect.events.worker import EventsWorker
    from prefect.testing.utilities import prefect_test_harness
    from toy_registry import register_toy

    from flows.orchestrated import requests_told
    from flows.registry_access import open_ledger, open_tracker
    from pipeline_steps.registry.promote import follow_ledger

    root = Path(sys.argv[1])
    workspace = make_workspace(root, 1.0)
    tracker, ledger = open_tracker(workspace), open_ledger(workspace)
    for label in "abcd":
        register_toy(tracker, label)
    ledger.move_champion(MODEL, expected=None, new=1, actor="ada", reason="r", evidence={})
    follow_ledger(tracker, ledger, MODEL, actor="ada")
    said, told = [], []
    with prefect_test_harness(server_startup_timeout=300):
        from prefect.client.orchestration import get_client

        for number, approve, hours in ((2, True, 1.0), (3, False, 1.0), (4, None, 0.003)):
            with requests_told(workspace, lambda _, message: told.append(message.subject)):
                ask(workspace, number, hours)
            said.append(run_and_answer(workspace, number, approve=approve))
        with get_client(sync_client=True) as client:
            EventsWorker.drain_all(timeout=10)
            events = read_events(client)
            texts = [a.data for a in client.read_artifacts() if a.key == "approval"]
    content = {
        "paused": [state for state, _ in said],
        "told": told,
        "events": events,
        "returned": [returned for _, returned in said],
        "aliases": tracker.aliases(MODEL),
        "artifact": next(text for text in texts if "Version 2" in text),
        "ledger": [e.model_dump(mode="json") for e in ledger.entries(MODEL)],
    }
    print(json.dumps(content))  # noqa: T201


if __name__ == "__main__":
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    main()
