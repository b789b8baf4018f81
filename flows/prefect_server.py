"""A Prefect server for one command, which starts and ends with it."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import Popen, TimeoutExpired
from typing import IO

from flows.tethered import tethered
from pipeline_steps.errors import HoldfastError

_STARTUP_SECONDS = 180  # five on a machine of its own
_SHUTDOWN_SECONDS = 10
_POLL_SECONDS = 0.2
_SHOWN = 500
_ENVIRONMENT = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",  # no schedules and no automations beyond this command
    "PREFECT__SERVER_FINAL": "1",
}


@contextmanager
def temporary_server() -> Iterator[str]:
    """Yield the address of a server that keeps its database in ``PREFECT_HOME``.

    Prefect would start one by itself, in the terminal's foreground: Ctrl-C ends that one before the
    flow run can be marked as cancelled, and a kill of the command leaves it running for ever.

    Raises
    ------
    HoldfastError
        If it does not answer in time.
    """
    port = _free_port()
    address = f"http://127.0.0.1:{port}/api"
    application = "prefect.server.api.server:create_app"
    command = [
        *(sys.executable, "-P", "-m", "uvicorn", "--factory", application, "--lifespan", "on"),
        *("--host", "127.0.0.1", "--port", str(port), "--log-level", "error"),
    ]
    environment = {**os.environ, **_ENVIRONMENT}
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said,
        tethered(command, cwd=Path.cwd(), env=environment, output=said) as process,
    ):
        _wait_until_it_answers(address, process, said)
        try:
            yield address
        finally:
            _end_gently(process)


def _end_gently(process: Popen[str]) -> None:
    """Let the server write what it still holds; what does not end then is ended by the tether."""
    process.terminate()
    with suppress(TimeoutExpired):
        process.wait(_SHUTDOWN_SECONDS)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _wait_until_it_answers(address: str, process: Popen[str], said: IO[str]) -> None:
    deadline = time.monotonic() + _STARTUP_SECONDS
    while not _answers(address):
        if process.poll() is not None or time.monotonic() > deadline:
            said.seek(0)
            raise HoldfastError(
                f"Prefect's temporary server does not answer: {said.read()[-_SHOWN:].strip()}",
                expected=f"an answer within {_STARTUP_SECONDS} s",
                fix="run the command with --no-prefect, or set PREFECT_API_URL to a server",
            )
        time.sleep(_POLL_SECONDS)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5) as answer:  # noqa: S310 - http
            return bool(answer.status == 200)  # noqa: PLR2004 - OK
    except (urllib.error.URLError, OSError):
        return False
