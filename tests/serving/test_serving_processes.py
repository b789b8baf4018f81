"""Workers that die before they can answer: the service ends, however long each of them takes."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from served_workspaces import make_served_workspace

from flows import serving_processes
from flows.listening import listening
from flows.serving_processes import _Crew
from pipeline_steps.errors import HoldfastError


class LostCrew(_Crew):
    """Its workers end by themselves."""

    started = 0

    def _start(self, listening: socket.socket) -> subprocess.Popen[bytes]:
        self.started += 1
        return subprocess.Popen([sys.executable, "-S", "-c", "raise SystemExit(3)"])


def test_workers_that_die_seldom_but_before_any_can_answer_end_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_processes, "_EARLY_SECONDS", 0.0)  # no two die soon after another
    workspace, said = make_served_workspace(tmp_path / "ws"), []
    with listening("127.0.0.1", 0, 2) as sockets:
        crew = LostCrew(workspace, sockets, tmp_path, lambda: said.append("serving"))
        with pytest.raises(HoldfastError, match="6 in a row while none could answer"):
            crew.run()
    assert (crew.started, said) == (7, [])
