"""Runs the flows under Prefect's test harness and prints what its server knows of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tiny_workspaces import change_params

_STARTUP_SECONDS = 180


def show_flow_runs() -> None:
    """Prepare, train and fail in the workspace here; print results, runs and artifacts as JSON."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=_STARTUP_SECONDS):
        print(json.dumps(_run_and_ask()))  # noqa: T201


def _run_and_ask() -> dict[str, Any]:
    from prefect.client.orchestration import get_client

    from flows import orchestrated
    from pipeline_steps.errors import HoldfastError

    root = Path.cwd()
    datasets = orchestrated.prepare_data(str(root))
    result = orchestrated.train(str(root), announced=True)
    again = orchestrated.train(str(root))
    change_params(root, finetune={"base_digest": "0" * 64})
    refusal = ""
    try:
        orchestrated.train(str(root))
    except HoldfastError as error:
        refusal = str(error)
    with get_client(sync_client=True) as client:
        flows = {flow.id: flow.name for flow in client.read_flows()}
        return {
            "datasets": [d.name for d in (datasets.train, datasets.valid, *datasets.judged)],
            "result": result.model_dump(mode="json"),
            "again": again.model_dump(mode="json"),
            "refusal": refusal,
            "flow_runs": [
                _flow_run(run, flows[run.flow_id])
                for run in sorted(client.read_flow_runs(), key=lambda run: run.start_time)
            ],
            "task_runs": [_task_run(run) for run in client.read_task_runs()],
            "artifacts": [
                {"key": a.key, "text": a.data, "flow_run": str(a.flow_run_id)}
                for a in client.read_artifacts()
            ],
        }


def _flow_run(run: Any, name: str) -> dict[str, Any]:
    return {
        "id": str(run.id),
        "name": name,
        "state": run.state.type.value,
        "message": run.state.message or "",
    }


def _task_run(run: Any) -> dict[str, Any]:
    return {
        "flow_run": str(run.flow_run_id),
        "title": run.name.rsplit("-", 1)[0],
        "state": run.state.type.value,
        "retries": run.empirical_policy.retries,
        "cache_key": run.cache_key,
        "start": str(run.start_time),
    }
