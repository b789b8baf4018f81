"""Workspaces with a champion in the registry, made without a training run of the whole flow."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from builders import write_jsonl
from registry_builders import TEXTS, make_checkpoint
from tiny_workspaces import change_params, sentiment_rows

from flows.commands.init import init_workspace
from flows.registry_access import open_ledger, open_tracker
from flows.workspace import Workspace
from pipeline_steps.types import Checkpoint, ModelVersion

_CLI = "from flows.cli import main; main()"


def make_served_workspace(root: Path, **serve: Any) -> Workspace:
    """Return a workspace without a version; ``serve`` are parameters of its section."""
    file = write_jsonl(root.parent / f"{root.name}.jsonl", sentiment_rows(40))
    init_workspace(root, problem="text_classification", files={"train": file})
    change_params(root, serve={"poll_seconds": 0.2, **serve})
    return Workspace.open(root)


def add_version(
    workspace: Workspace, checkpoint: Checkpoint, *, champion: bool = True
) -> ModelVersion:
    """Return the version of a checkpoint; it becomes champion, or challenger."""
    tracker, ledger = open_tracker(workspace), open_ledger(workspace)
    name = workspace.params.register_.model_name
    run = tracker.start_run(checkpoint.digest, name="r", tags={}, params={}, datasets=[])
    uri = tracker.log_model(run, checkpoint, input_example=[{"text": t} for t in TEXTS[:2]])
    version = tracker.register(name, uri, run, checkpoint.digest, tags={})
    if champion:
        move_champion(workspace, version.version)
    else:
        tracker.set_alias(name, "challenger", version.version)
    del ledger
    return version


def move_champion(workspace: Workspace, version: int) -> None:
    """Make a version champion, as a promotion or a rollback does."""
    ledger, name = open_ledger(workspace), workspace.params.register_.model_name
    ledger.move_champion(
        name, expected=ledger.champion(name), new=version, actor="ada", reason="r", evidence={}
    )


@contextmanager
def served(workspace: Workspace, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yield the process of ``holdfast serve`` and its address, once it is ready."""
    command = ["serve", "-w", str(workspace.root), "--port", "0", *options]
    process = subprocess.Popen(
        [sys.executable, "-c", _CLI, *command], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        said = next((line for line in process.stderr if line.startswith("serving ")), "")
        assert said, process.stderr.read()
        address = next(word for word in said.split() if word.startswith("http"))
        wait_until_ready(address, process)
        yield process, address
    finally:
        process.terminate()
        process.communicate(timeout=60)


def wait_until_ready(address: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        if httpx.get(f"{address}/ready", timeout=60).status_code == 200:
            return
        time.sleep(0.05)
    raise AssertionError("the service did not get ready")


__all__ = ["add_version", "make_checkpoint", "make_served_workspace", "move_champion", "served"]
