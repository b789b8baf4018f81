"""What a registry takes seconds for, done once for all tests of a worker.

MLflow makes its tables in some hundred steps: the database that the product's own code has made is
copied. The process of a smoke test imports MLflow, torch and transformers: it is forked from one
that has them, but nothing of Holdfast, so what answers is still the code that travels with the
model. Tests that are about that process itself use ``fresh_smoke_tests``.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

_IMPORTED = ("mlflow.pyfunc", "pandas", "torch", "transformers")
_PATIENCE = 120.0
_started: list[subprocess.Popen[bytes]] = []


def _directory() -> Path:
    """Return where it lies: the home of a worker's tests, which child processes have too."""
    directory = Path(os.environ["HOME"]) / "registry"
    directory.mkdir(exist_ok=True)
    return directory


class Real(NamedTuple):
    """The product's own ways, in the place of which copies and forks stand."""

    new_database: Callable[[Path], Path]
    run: Callable[[Path, float], int | None]

    def put_back(self, *, database: bool, smoke_test: bool) -> None:
        from pipeline_steps.registry import mlflow_database
        from pipeline_steps.registry import smoke_test as smoke_test_module

        if database:
            mlflow_database._new_database = self.new_database
        if smoke_test:
            smoke_test_module._run = self.run


def install(*, starts: bool = False) -> Real:
    """Let this process, and those that it forks, use the copies and the forks.

    Returns what they stand for. Where ``starts``, the process that forks
    is started when it is first asked; else somebody must have done so.
    """
    from pipeline_steps.registry import mlflow_database, smoke_test

    real = Real(mlflow_database._new_database, smoke_test._run)

    def copied(directory: Path) -> Path:
        kept = _directory() / "database"
        if not kept.exists():
            real.new_database(directory).replace(kept)
        return Path(shutil.copy(kept, directory / "database"))

    mlflow_database._new_database = copied
    smoke_test._run = answer_after_a_start if starts else answer_in_a_fork
    return real


def answer_in_a_fork(directory: Path, timeout: float) -> int | None:
    """Stand in for ``smoke_test._run``: the same script, in a fork of a process with libraries."""
    wait_until_it_listens()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(str(_directory() / "socket"))
        request = {"directory": str(directory), "environment": dict(os.environ)}
        connection.sendall(json.dumps(request).encode() + b"\n")
        try:
            said = connection.recv(16)
        except TimeoutError:
            return None
        return int(said) if said else -signal.SIGKILL


def answer_after_a_start(directory: Path, timeout: float) -> int | None:
    start()
    return answer_in_a_fork(directory, timeout)


def start() -> None:
    """Start the process that forks, if this worker has none yet."""
    if not _started:
        command = [sys.executable, "-P", __file__, str(_directory() / "socket")]
        _started.append(subprocess.Popen(command, stdin=subprocess.PIPE))


def wait_until_it_listens() -> None:
    listening = _directory() / "socket"
    ends = time.monotonic() + _PATIENCE
    while not listening.exists():
        if time.monotonic() > ends:
            raise TimeoutError("the process that forks smoke tests does not listen")
        time.sleep(0.05)


def stop() -> None:
    """End the process that forks."""
    while _started:
        process = _started.pop()
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def serve(address: Path) -> None:
    for module in _IMPORTED:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # a collection that looked at all that was imported would copy it in each child
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    beginning = address.with_suffix(".partial")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(beginning))
        listening.listen()
        beginning.rename(address)
        while True:
            ready, _, _ = select.select([sys.stdin, listening], [], [])
            if sys.stdin in ready:
                return
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _be_the_smoke_test(connection)
            connection.close()


def _be_the_smoke_test(connection: socket.socket) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with connection.makefile("r") as lines:
        request: dict[str, Any] = json.loads(lines.readline())
    directory = Path(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(directory)
    log = os.open(directory / "stderr.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    code = 0
    try:
        script = Path(__file__).parents[1] / "pipeline_steps/registry/smoke_answer.py"
        sys.argv = [str(script), str(directory)]
        runpy.run_path(str(script), run_name="__main__")
    except BaseException:  # noqa: BLE001 - as a process ends of it
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(str(code).encode())
    os._exit(0)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
