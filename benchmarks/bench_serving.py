"""Requests a second and latency of ``holdfast serve`` beside ``mlflow models serve``, one model.

All services run at once, on the same registered version, and are asked in turns, level by level of
concurrency, by one client that keeps its connections open; those that are not asked are idle. The
ratio is that of throughput at equal p99: our best level whose p99 is not above the peer's there.
Our answers are in the traffic log before they are given; the peer logs nothing and answers in fp32.
Both sides have as many workers.

    .venv/bin/python benchmarks/bench_serving.py [--seconds 6] [--rounds 2] [--workers 1] \
        [--precisions fp32 bf16 int8]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from records import record, write_records

LEVELS = (1, 4, 16, 64, 192)
PEER = "mlflow"
WORDS = [
    "my",
    "card",
    "was",
    "charged",
    "twice",
    "please",
    "send",
    "the",
    "refund",
    "to",
    "another",
    "account",
    "I",
    "forgot",
    "the",
    "pin",
    "and",
    "cannot",
    "log",
    "in",
    "since",
    "monday",
    "the",
    "transfer",
    "did",
    "not",
    "arrive",
    "why",
    "is",
    "there",
    "a",
    "fee",
    "for",
    "this",
    "address",
]
N_LABELS = 77
_CLI = "from flows.cli import main; main()"


def sentences(n: int, seed: int = 0) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(4, 20))) for _ in range(n)]


def make_workspace(root: Path) -> tuple[Any, str]:
    """Return a workspace with a MiniLM champion of 77 labels, and the address of its artifact."""
    import pandas as pd

    from flows.commands.init import init_workspace
    from flows.registry_access import open_ledger, open_tracker
    from flows.workspace import Workspace
    from pipeline_steps.digests import file_digest
    from pipeline_steps.finetune_params import FinetuneParams
    from pipeline_steps.training.finetune import finetune
    from pipeline_steps.types import EXAMPLE_COLUMNS, DatasetRef

    rows = [{"text": t, "label": f"label {i % N_LABELS}"} for i, t in enumerate(sentences(231))]
    (root / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    init_workspace(root / "w", problem="text_classification", files={"train": root / "rows.jsonl"})
    frame = pd.DataFrame(rows).reindex(columns=EXAMPLE_COLUMNS).astype(object)
    frame["example_id"], frame["role"] = [str(i) for i in frame.index], "auto"
    frame = frame.where(frame.notna(), None)
    frame.to_parquet(root / "rows.parquet")
    data = DatasetRef(
        name="train", split="train", path=root / "rows.parquet",
        digest=file_digest(root / "rows.parquet", "md5"), n_examples=len(rows),
    )  # fmt: skip
    workspace = Workspace.open(root / "w")
    params = FinetuneParams(epochs=1, precision="fp32", max_length=64)
    checkpoint = finetune(data, data, params, root / "checkpoint", work=root / "work")
    tracker, name = open_tracker(workspace), workspace.params.register_.model_name
    run = tracker.start_run(checkpoint.digest, name="r", tags={}, params={}, datasets=[])
    uri = tracker.log_model(run, checkpoint, input_example=[{"text": "a"}])
    version = tracker.register(name, uri, run, checkpoint.digest, tags={})
    open_ledger(workspace).move_champion(
        name, expected=None, new=version.version, actor="bench", reason="r", evidence={}
    )
    return workspace, version.model_uri


def set_precision(workspace: Any, precision: str) -> None:
    """Let services that start from now on answer in a precision."""
    params_file = workspace.root / "params.yaml"
    before, after = params_file.read_text(encoding="utf-8").split("\nserve:")
    after = re.sub(r"precision: \w+", f"precision: {precision}", after, count=1)
    params_file.write_text(f"{before}\nserve:{after}", encoding="utf-8")


@contextmanager
def service(command: list[str], port: int, path: str, **environment: str) -> Iterator[str]:
    """Yield the host and port of a service once it answers."""
    import httpx

    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 400
            while time.monotonic() < deadline:
                if process.poll() is not None:
                    output.seek(0)
                    raise SystemExit(output.read().decode())
                try:
                    if httpx.get(f"http://127.0.0.1:{port}{path}", timeout=60).status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(0.2)
            yield f"127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)


class Client:
    """Connections that each ask, wait and ask again; bytes are made before the clock runs."""

    def __init__(self, port: int, path: str, bodies: list[dict[str, Any]]) -> None:
        self.port = port
        self.requests = [
            (
                f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            ).encode()
            + body
            for body in (json.dumps(b).encode() for b in bodies)
        ]

    def measure(self, concurrency: int, seconds: float) -> tuple[float, list[float], int]:
        """Return requests a second, all latencies (ms) and how many answers were not 200."""
        return asyncio.run(self._measure(concurrency, seconds))

    async def _measure(self, concurrency: int, seconds: float) -> tuple[float, list[float], int]:
        latencies: list[float] = []
        failed = [0]
        began = time.perf_counter()
        await asyncio.gather(
            *(self._ask(n, began + seconds, latencies, failed) for n in range(concurrency))
        )
        return len(latencies) / (time.perf_counter() - began), latencies, failed[0]

    async def _ask(
        self, number: int, until: float, latencies: list[float], failed: list[int]
    ) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        place = number * 37
        while time.perf_counter() < until:
            began = time.perf_counter()
            writer.write(self.requests[place % len(self.requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length")
            )
            await reader.readexactly(length)
            latencies.append((time.perf_counter() - began) * 1e3)
            failed[0] += b" 200 " not in head[:15]
            place += 1
        writer.close()


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def free_port() -> int:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def compare(
    seconds: float, rounds: int, workers: int, precisions: list[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return the records of each precision beside the peer."""
    texts = sentences(500, seed=1)
    with tempfile.TemporaryDirectory() as directory, ExitStack() as running:
        workspace, model_uri = make_workspace(Path(directory))
        clients = {}
        for precision in precisions:
            set_precision(workspace, precision)
            port = running.enter_context(ours(workspace, workers))
            bodies = [{"inputs": [{"text": t}]} for t in texts]
            clients[precision] = Client(port, "/predict", bodies)
        port = running.enter_context(theirs(workspace, model_uri, workers))
        bodies = [{"dataframe_records": [{"text": t}]} for t in texts]
        clients[PEER] = Client(port, "/invocations", bodies)
        return measured(clients, seconds, rounds)


@contextmanager
def ours(workspace: Any, workers: int) -> Iterator[int]:
    """Yield the port of a service in the precision that is set."""
    port = free_port()
    command = [
        *(sys.executable, "-c", _CLI, "serve", "-w", str(workspace.root)),
        *("--port", str(port), "--workers", str(workers)),
    ]
    with service(command, port, "/ready"):
        until_all_answer(port, workers)
        yield port


def until_all_answer(port: int, workers: int) -> None:
    """Wait until all workers have loaded: the first one alone is ready before."""
    import httpx

    answering = re.compile(r'^holdfast_workers\{version="\d+"\} ([\d.]+)$', re.MULTILINE)
    while True:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text
        if sum(map(float, answering.findall(text))) >= workers:
            return
        time.sleep(0.2)


@contextmanager
def theirs(workspace: Any, model_uri: str, workers: int) -> Iterator[int]:
    """Yield the port of MLflow's server."""
    port = free_port()
    command = [
        *(str(Path(sys.executable).parent / "mlflow"), "models", "serve", "-m", model_uri),
        *("--env-manager", "local", "--port", str(port), "--workers", str(workers)),
    ]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    settings = {"MLFLOW_TRACKING_URI": workspace.tracking_uri, "PATH": path}
    with service(command, port, "/ping", **settings):
        yield port


def measured(
    clients: dict[str, Client], seconds: float, rounds: int
) -> dict[str, list[dict[str, Any]]]:
    for client in clients.values():
        client.measure(4, min(2.0, seconds))
    rates: dict[tuple[str, int], list[float]] = {}
    waits: dict[tuple[str, int], list[float]] = {}
    for _ in range(rounds):
        for level in LEVELS:
            for side, client in clients.items():
                rate, latencies, failed = client.measure(level, seconds)
                if failed:
                    raise SystemExit(f"{side} at {level}: {failed} answers were not 200")
                rates.setdefault((side, level), []).append(rate)
                waits.setdefault((side, level), []).extend(latencies)
    print("side      concurrency  requests/s (rounds)            p50 ms   p99 ms")
    for (side, level), found in rates.items():
        several = " ".join(f"{rate:.0f}" for rate in found)
        p50, p99 = (percentile(waits[side, level], share) for share in (0.5, 0.99))
        print(
            f"{side:9} {level:11}  {statistics.mean(found):7.1f} ({several:18}) {p50:8.1f} {p99:8.1f}"
        )
    return {side: records_of(side, rates, waits) for side in clients if side != PEER}


def records_of(
    side: str,
    rates: dict[tuple[str, int], list[float]],
    waits: dict[tuple[str, int], list[float]],
) -> list[dict[str, Any]]:
    records, ratios = [], {}
    mean = {key: statistics.mean(found) for key, found in rates.items()}
    p99 = {key: percentile(found, 0.99) for key, found in waits.items()}
    for level in LEVELS:
        us, them = (side, level), (PEER, level)
        n = len(waits[us])
        median = {key: percentile(waits[key], 0.5) for key in (us, them)}
        found = {
            "requests_per_second": (mean[us], mean[them], "1/s"),
            "p50_ms": (median[us], median[them], "ms"),
            "p99_ms": (p99[us], p99[them], "ms"),
        }
        for name, (value, peer, unit) in found.items():
            records.append(record(f"{name}_at_{level}", value, unit, n=n, peer=peer))
        fitting = [mean[key] for key in mean if key[0] == side and p99[key] <= p99[them]]
        ratios[level] = max(fitting, default=0.0) / mean[them]
        print(f"{side}: throughput at the p99 of {PEER} at {level:3}: {ratios[level]:.1f} times")
    best = max(LEVELS, key=lambda level: mean[PEER, level])
    records.append(
        record("throughput_ratio_at_equal_p99", ratios[best], "times", n=len(LEVELS), target=5.0)
    )
    return records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--precisions", nargs="+", choices=("fp32", "bf16", "int8"), default=["fp32"]
    )
    asked = parser.parse_args()
    found = compare(asked.seconds, asked.rounds, asked.workers, asked.precisions)
    for precision, records in found.items():
        name = "serving" if precision == "fp32" else f"serving_{precision}"
        name += "" if asked.workers == 1 else f"_{asked.workers}_workers"
        print(write_records(name, records))


if __name__ == "__main__":
    main()
