"""uvicorn around the application: a socket that is open already, and an orderly end."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

_IDLE_SECONDS = 30  # a client's connection without a request
_FAREWELL_SECONDS = 30


class Server:
    """Serves an application until SIGTERM or SIGINT; accepted requests are answered first."""

    def __init__(self, application: FastAPI) -> None:
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                application,
                log_level="warning",
                access_log=False,
                timeout_keep_alive=_IDLE_SECONDS,
                timeout_graceful_shutdown=_FAREWELL_SECONDS,
                lifespan="on",
            )
        )

    def stop(self) -> None:
        """End as after SIGTERM; from any thread."""
        self._uvicorn.should_exit = True

    def run(self, listening: socket.socket, on_start: Callable[[], None] = lambda: None) -> None:
        """Serve until stopped."""
        # uvicorn raises the signal that ended it once more, for whoever had a handler before.
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: None)
        on_start()
        self._uvicorn.run(sockets=[listening])
