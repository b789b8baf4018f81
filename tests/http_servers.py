"""Servers as processes of a test: started on a free port, waited for, ended with their children."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
_DEADLINE = 200.0  # seconds, on a busy machine


@contextmanager
def running(
    command: list[str], health: str, directory: Path, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process once it answers at ``health``; its group is gone afterwards."""
    log = directory / "server.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=directory, stdout=file, stderr=file, start_new_session=True,
            # MLflow starts uvicorn by its name, as it stands in an activated environment.
            env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **environment},
        )  # fmt: skip
    try:
        wait_for(health, process, log)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(health: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _DEADLINE
    while True:
        assert process.poll() is None, log.read_text(errors="replace")
        assert time.monotonic() < deadline, log.read_text(errors="replace")
        try:
            with urllib.request.urlopen(health, timeout=5):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.1)


@contextmanager
def posting() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the address of a webhook of this process, and the JSON objects posted there."""
    posted: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hook", posted
        server.shutdown()
        thread.join()
