"""The path from a drift event to a flow run, on Prefect's test server; prints what it knows."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from uuid import UUID

_STARTUP_SECONDS = 180
_DEADLINE = 90.0


def show_drift_event() -> None:
    """Deploy the loop of the workspace here, emit events, print the flow runs that follow."""
    from prefect.events.worker import EventsWorker
    from prefect.testing.utilities import prefect_test_harness

    from flows.deployments import Schedules, apply, deployments, emit_confirmed
    from flows.workspace import Workspace

    with prefect_test_harness(server_startup_timeout=_STARTUP_SECONDS):
        root = Path.cwd()
        name = Workspace.open(root).params.register_.model_name
        names: list[str] = []
        for _ in range(2):  # deployed again, it is what it was
            found = deployments(root, Schedules(), pool=None, model_name=name)
            names = apply(found, None)
        emit_confirmed("another-model", "not-ours")
        for _ in range(3):
            emit_confirmed(name, "decision-1")
        EventsWorker.drain_all(timeout=10)
        runs = _wait_for_runs()
        told = {"deployed": names, "runs": runs, **_server_state(), "told": told_by_blocks(root)}
        print(json.dumps(told))  # noqa: T201


def show_whole_loop() -> None:
    """Let the monitor of the workspace here find harm; run what that starts, and print it all.

    The run that the automation made is executed as the process of a worker does it: found by its
    id, loaded from where its deployment says, with the parameters that the event carried.
    """
    from prefect.events.worker import EventsWorker
    from prefect.flow_engine import load_flow_and_flow_run, run_flow
    from prefect.testing.utilities import prefect_test_harness

    from flows.deployments import Schedules, apply, deployments, monitor
    from flows.workspace import Workspace

    with prefect_test_harness(server_startup_timeout=_STARTUP_SECONDS):
        root, never = Path.cwd(), Schedules(monitor=None, retrain=None)
        name = Workspace.open(root).params.register_.model_name
        apply(deployments(root, never, pool=None, model_name=name), None)
        decisions = [monitor(str(root)).decision for _ in range(2)]
        EventsWorker.drain_all(timeout=10)
        started = [run for run in _wait_for_runs() if run["created_by"] == "AUTOMATION"]
        for run in started:
            flow_run, flow = load_flow_and_flow_run(UUID(run["id"]))
            run_flow(flow, flow_run=flow_run)
        ended = [run for run in _wait_for_runs() if run["created_by"] == "AUTOMATION"]
        after = monitor(str(root)).decision
        told = {"decisions": [d.model_dump(mode="json") for d in (*decisions, after)]}
        print(json.dumps({**told, "started": started, "ended": ended}))  # noqa: T201


def told_by_blocks(root: Path) -> dict[str, Any]:
    """Return what blocks of three kinds, named as the settings name them, did with a message."""
    from http_servers import posting
    from mail_server import mail_server
    from prefect.blocks.core import Block
    from prefect.blocks.notifications import CustomWebhookNotificationBlock, SlackWebhook

    from flows.deployments import EmailBlock, notify_block

    with posting() as (address, posted), mail_server() as (port, mails):
        content = {"text": "{{subject}}: {{body}}"}
        CustomWebhookNotificationBlock(name="ops", url=address, json_data=content).save("ops")
        SlackWebhook(url="https://hooks.slack.com/services/A12/B12/c123").save("ops")
        to = f"mailto://127.0.0.1:{port}?from=a@example.org&to=b@example.org&smtp=127.0.0.1"
        EmailBlock(url=to).save("ops")
        said = [_failed_retrain(root, block) for block in ("custom-webhook/ops", "email/nobody")]
        notify_block.fn("holdfast-email/ops", "20 labels say so", "desk: drift confirmed")
    slack: Any = Block.load("slack-webhook/ops")
    [service] = slack._apprise_client.servers
    return {"posted": posted, "mails": mails, "said": said, "slack": type(service).__name__}


def _failed_retrain(root: Path, block: str) -> str:
    """Return how the flow ends in a workspace without a champion, while a block is named."""
    import os

    from flows.deployments import retrain
    from pipeline_steps.errors import HoldfastError

    os.environ["HOLDFAST_NOTIFY_BLOCK"] = block
    try:
        retrain(str(root))
    except HoldfastError as error:
        return error.received
    return "no error"


def _wait_for_runs() -> list[dict[str, Any]]:
    from prefect.client.orchestration import get_client

    deadline = time.monotonic() + _DEADLINE
    with get_client(sync_client=True) as client:
        while time.monotonic() < deadline:
            by = {run.created_by.type for run in client.read_flow_runs() if run.created_by}
            if "AUTOMATION" in by:
                time.sleep(2)  # what else the events started, would be there now
                break
            time.sleep(0.5)
        return [_shown(run) for run in client.read_flow_runs()]


def _shown(run: Any) -> dict[str, Any]:
    by = None if run.created_by is None else run.created_by.type
    return {
        "id": str(run.id),
        "parameters": run.parameters,
        "created_by": by,
        "state": run.state.type.value,
    }


def _server_state() -> dict[str, Any]:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        automations = client.request("POST", "/automations/filter", json={}).json()
        deployed = client.read_deployments()
    return {
        "automations": [a["name"] for a in automations],
        "schedules": {d.entrypoint: [s.schedule.cron for s in d.schedules] for d in deployed},
    }
