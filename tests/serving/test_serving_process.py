"""``holdfast serve`` as users run it: a process, asked over HTTP while things go wrong."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from registry_builders import TEXTS, make_checkpoint
from served_workspaces import add_version, make_served_workspace, move_champion, served

from flows.registry_access import open_ledger
from flows.serving import forget_some, open_traffic_log
from flows.workspace import Workspace
from pipeline_steps.monitoring.traffic import LoggedPrediction, TrafficLog
from pipeline_steps.registry.verdicts import record_verdict
from pipeline_steps.types import Checkpoint

CLI = [sys.executable, "-c", "from flows.cli import main; main()"]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> list[Checkpoint]:
    return [make_checkpoint(tmp_path_factory.mktemp("tiny"), seed) for seed in range(2)]


@pytest.fixture
def workspace(tmp_path: Path, checkpoints: list[Checkpoint]) -> Iterator[Workspace]:
    made = make_served_workspace(tmp_path / "ws")
    for checkpoint in checkpoints:
        add_version(made, checkpoint)
    return made


def logged(workspace: Workspace) -> list[str]:
    log = TrafficLog(workspace.traffic_url)
    rows = log.read(limit=1_000_000)
    log.close()
    return [row.prediction.prediction_id for row in rows]


class Load:
    """Clients that ask without a pause; ``acknowledged`` are the ids in answers that came whole."""

    def __init__(self, address: str, clients: int = 6) -> None:
        self.address = address
        self.acknowledged: list[str] = []
        self.statuses: list[int] = []
        self.versions: list[int] = []
        self.lost = 0
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(60)

    def _ask(self, number: int) -> None:
        with httpx.Client(base_url=self.address, timeout=60) as client:
            while not self._ended.is_set():
                body = {"inputs": [{"text": t} for t in TEXTS[: 1 + number % 3]]}
                try:
                    answer = client.post("/predict", json=body)
                except httpx.TransportError:
                    self.lost += 1
                    self._ended.wait(0.05)
                    continue
                self.statuses.append(answer.status_code)
                for found in answer.json().get("predictions", []):
                    self.acknowledged.append(found["prediction_id"])
                    self.versions.append(found["version"])


def until(done: Callable[[], Any], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_champions_change_under_load_and_the_end_is_orderly(workspace: Workspace) -> None:
    with served(workspace) as (process, address), Load(address) as load:
        until(lambda: len(load.versions) > 30)
        move_champion(workspace, 1)
        until(lambda: 1 in load.versions)
        move_champion(workspace, 2)
        until(lambda: load.versions[-1] == 2)
        assert load.lost == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert set(load.statuses) == {200}
    kept = logged(workspace)
    assert len(kept) == len(set(kept))
    assert set(load.acknowledged) <= set(kept)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_service_loses_and_doubles_nothing_that_it_acknowledged(
    workspace: Workspace, workers: int
) -> None:
    acknowledged: list[str] = []
    for _ in range(3):
        with (
            served(workspace, "--workers", str(workers)) as (process, address),
            Load(address) as load,
        ):
            until(lambda: len(load.acknowledged) > 40)
            for victim in (process.pid, *children(process.pid)):
                os.kill(victim, signal.SIGKILL)
            until(lambda: load.lost > 5)
        acknowledged += load.acknowledged
        kept = logged(workspace)
        assert len(kept) == len(set(kept))
        assert set(acknowledged) <= set(kept)


@pytest.mark.slow
def test_workers_answer_together_and_one_that_dies_is_replaced(workspace: Workspace) -> None:
    with served(workspace, "--workers", "2") as (process, address), Load(address) as load:
        until(lambda: len(load.acknowledged) > 40)
        first = children(process.pid)
        assert len(first) == 2
        os.kill(first[0], signal.SIGKILL)
        until(lambda: len(set(children(process.pid)) - set(first)) == 1)
        before = len(load.acknowledged)
        until(lambda: len(load.acknowledged) > before + 40)
        text = httpx.get(f"{address}/metrics", timeout=60).text
        move_champion(workspace, 1)
        until(lambda: load.versions[-20:] == [1] * 20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert "holdfast_requests_total" in text
    assert set(load.statuses) == {200}
    kept = logged(workspace)
    assert len(kept) == len(set(kept))
    assert set(load.acknowledged) <= set(kept)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all workers share one socket")
def test_while_a_dead_workers_successor_loads_the_others_answer_every_new_client(
    workspace: Workspace,
) -> None:
    with served(workspace, "--workers", "2") as (process, address):
        first = children(process.pid)
        until(lambda: n_listening(address) == 2)
        assert 'holdfast_workers{version="2"} 2.0' in httpx.get(f"{address}/metrics").text
        os.kill(first[0], signal.SIGKILL)
        until(lambda: len(set(children(process.pid)) - set(first)) == 1)
        (successor,) = set(children(process.pid)) - set(first)
        os.kill(successor, signal.SIGSTOP)
        try:
            said = [httpx.get(f"{address}/ready", timeout=20) for _ in range(12)]
            assert {answer.json()["version"] for answer in said} == {2}
            assert 'holdfast_workers{version="2"} 1.0' in httpx.get(f"{address}/metrics").text
        finally:
            os.kill(successor, signal.SIGCONT)


def n_listening(address: str) -> int:
    """Return how many sockets listen at the port of an address."""
    port = f":{int(address.rpartition(':')[2]):04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[1].endswith(port) and line[3] == "0A" for line in lines)


@pytest.mark.slow
def test_workers_end_when_the_one_that_started_them_is_killed(workspace: Workspace) -> None:
    with served(workspace, "--workers", "2") as (process, _):
        workers = children(process.pid)
        process.kill()
        until(lambda: not any(alive(worker) for worker in workers))


@pytest.mark.slow
def test_too_much_load_is_refused_and_what_is_accepted_is_answered(
    tmp_path: Path, checkpoints: list[Checkpoint]
) -> None:
    workspace = make_served_workspace(tmp_path / "ws", queue_rows=3, max_rows=3)
    add_version(workspace, checkpoints[0])
    with served(workspace) as (_, address), Load(address, clients=24) as load:
        until(lambda: {200, 503} <= set(load.statuses) and len(load.statuses) > 300)
        assert httpx.get(f"{address}/health", timeout=60).status_code == 200
    assert set(load.statuses) == {200, 503}
    assert load.lost == 0
    assert set(load.acknowledged) <= set(logged(workspace))


def test_one_process_at_a_time_forgets_what_is_too_old(tmp_path: Path) -> None:
    workspace = make_served_workspace(tmp_path / "ws", retention_days=30)
    log = open_traffic_log(workspace)
    long_ago = datetime.now(UTC) - timedelta(days=31)
    log.append([prediction(long_ago), prediction(datetime.now(UTC))])
    with (workspace.state / "retention.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert (forget_some(workspace, [log]), log.count()) == (0, 2)
    assert (forget_some(workspace, [log]), log.count()) == (1, 1)
    log.close()


def prediction(created_at: datetime) -> LoggedPrediction:
    return LoggedPrediction(
        prediction_id=f"p{created_at:%Y-%m-%d}", request_id="r", created_at=created_at,
        model_name="m", version=1, example={"text": "a"}, output={"label": "a"},
    )  # fmt: skip


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in tasks.read_text().split()]


def alive(pid: int) -> bool:
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_without_a_champion_or_a_free_port_it_says_so(tmp_path: Path) -> None:
    workspace = make_served_workspace(tmp_path / "ws")
    command = [*CLI, "serve", "-w", str(workspace.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "has no champion yet" in done.stderr) == (5, True)
    assert "to fix it: holdfast train" in done.stderr
    record_verdict(
        open_ledger(workspace), workspace.params.register_.model_name,
        actor="a test", reason="REJECT: clean/accuracy 0.41 is below 0.60",
        evidence={"candidate_digest": "c", "verdict": "REJECT"},
    )  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "the gate's last verdict is REJECT: clean/accuracy 0.41 is below 0.60" in done.stderr
    assert "holdfast ledger log" in done.stderr


def test_a_port_that_is_taken_is_refused(workspace: Workspace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [*CLI, "serve", "-w", str(workspace.root), "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, f"port {port} cannot be listened on" in done.stderr) == (2, True)
