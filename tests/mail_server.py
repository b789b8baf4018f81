"""A mail server that takes every message and keeps it."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LAST = "."


class _Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        """Answer as RFC 5321 asks, without extensions."""
        self.say("220 ready")
        for line in self.rfile:
            word = line.decode().strip().upper()
            if word.startswith("DATA"):
                self.say("354 go on")
                self.server.taken.append("\n".join(self.content()))  # type: ignore[attr-defined]
            self.say("221 bye" if word.startswith("QUIT") else "250 fine")
            if word.startswith("QUIT"):
                return

    def content(self) -> Iterator[str]:
        while (line := self.rfile.readline().decode().rstrip("\r\n")) != _LAST:
            yield line

    def say(self, words: str) -> None:
        self.wfile.write(f"{words}\r\n".encode())


@contextmanager
def mail_server() -> Iterator[tuple[int, list[str]]]:
    """Yield the port of a server on this machine, and the messages that it has taken."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Session) as server:
        server.taken = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1], server.taken  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()
