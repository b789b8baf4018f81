"""Promotions and rollbacks in processes of their own, which can be killed at a boundary.

A server process imports MLflow once and forks a child for each move; no connection to a database
is open when it forks.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


class KilledMoves:
    """Runs moves, one at a time."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(HERE / "killed_moves.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"},
        )

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def __call__(self, **request: Any) -> tuple[int, Any]:
        """Return the exit status and what the move said.

        ``tracking_uri``, ``ledger`` (URL), ``kind``, ``version`` or ``to``, ``die`` (a boundary).
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        code, said = json.loads(self.process.stdout.readline())
        return code, said


def move(request: dict[str, Any]) -> Any:
    """Return what a promotion or a rollback did, or how it was refused."""
    from registry_builders import MODEL, decision

    from pipeline_steps.errors import RegistryError
    from pipeline_steps.registry.ledger import Ledger
    from pipeline_steps.registry.phases import Mover
    from pipeline_steps.registry.promote import promote
    from pipeline_steps.registry.recorded_answers import recorded_answers
    from pipeline_steps.registry.rollback import rollback
    from pipeline_steps.registry.tracking import Tracker

    def at_boundary(phase: str) -> None:
        if phase == request.get("die"):
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        tracker = Tracker(request["tracking_uri"], "file:///unused", "tests")
        ledger = Ledger(request["ledger"])
        if request["kind"] == "rollback":
            mover = Mover(tracker, ledger, "bob", at_boundary=at_boundary)
            done: Any = rollback(mover, MODEL, to=request.get("to"), reason="it answers wrongly")
        else:
            version = tracker.version(MODEL, request["version"])
            current = ledger.champion(MODEL)
            champion = None if current is None else tracker.version(MODEL, current)
            rows = recorded_answers(tracker, version)
            done = promote(
                tracker, ledger, version, decision(version, champion), smoke_rows=rows,
                actor="bob", at_boundary=at_boundary,
            )  # fmt: skip
        return done.model_dump()
    except RegistryError as error:
        return error.received


def serve() -> None:
    import mlflow.pyfunc  # noqa: F401 - for the children
    import pandas as pd  # noqa: F401 - same

    import pipeline_steps.registry.rollback  # noqa: F401 - same

    sys.path.append(str(HERE))
    from toy_registry import answer_in_this_process

    from pipeline_steps.registry import smoke_test

    smoke_test._run = answer_in_this_process
    for line in sys.stdin:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            os.write(write, json.dumps(move(json.loads(line))).encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as said:
            text = said.read()
        _, status = os.waitpid(child, 0)
        answer = [os.waitstatus_to_exitcode(status), json.loads(text) if text else None]
        print(json.dumps(answer), flush=True)  # noqa: T201


if __name__ == "__main__":
    serve()
