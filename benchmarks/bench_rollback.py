"""Seconds from ``holdfast rollback`` to the first answer of the earlier version, while it serves.

``holdfast serve`` answers with version 2 of a MiniLM model of 77 labels; a client asks it without a
pause. Each round runs the command as users do, in a process of its own, and notes when the first
answer of version 1 comes: after the command began, after the ledger moved the champion, after the
command ended (below 0: before). Then version 2 is promoted again. Every answer in between counts:
one that is not 200 is a failure.

    .venv/bin/python benchmarks/bench_rollback.py [--rounds 7] [--poll-seconds 5]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from bench_serving import make_workspace, ours, sentences
from records import record, write_records

_CLI = "from flows.cli import main; main()"
TARGET = 10.0  # "within seconds"


def add_version(workspace: Any, root: Path) -> None:
    """Register a second version, and let both have answers that a promotion asks for."""
    from flows.registry_access import checkpoint_of, open_tracker
    from pipeline_steps.finetune_params import FinetuneParams
    from pipeline_steps.inference.predictor import Predictor
    from pipeline_steps.registry.recorded_answers import record_answers
    from pipeline_steps.registry.smoke_test import SmokeRow
    from pipeline_steps.training.finetune import finetune
    from pipeline_steps.types import DatasetRef

    tracker, name = open_tracker(workspace), workspace.params.register_.model_name
    first = checkpoint_of(workspace, tracker.version(name, 1))
    data = DatasetRef(
        name="train", split="train", path=root / "rows.parquet", digest=first.train_digest,
        n_examples=231,
    )  # fmt: skip
    params = FinetuneParams(epochs=1, precision="fp32", max_length=64, seed=1)
    second = finetune(data, data, params, root / "second", work=root / "second work")
    run = tracker.start_run(second.digest, name="r", tags={}, params={}, datasets=[])
    uri = tracker.log_model(run, second, input_example=[{"text": "a"}])
    tracker.register(name, uri, run, second.digest, tags={})
    for number, checkpoint in ((1, first), (2, second)):
        requests = [{"text": text} for text in sentences(16)]
        said = Predictor.from_checkpoint(checkpoint.path).answer(requests)
        rows = [
            SmokeRow(request=r, answer={"label": a["label"]}, score=float(a["score"]))
            for r, a in zip(requests, said, strict=True)
        ]
        record_answers(tracker, tracker.version(name, number), rows)


def holdfast(workspace: Any, *words: str) -> None:
    """Run a command to its end."""
    command = [sys.executable, "-c", _CLI, *words, "-w", str(workspace.root)]
    subprocess.run(command, check=True, capture_output=True)


class Asking:
    """A client that asks without a pause and keeps when each version answered first, anew."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}/predict"
        self.first: dict[int, float] = {}
        self.last = 0
        self.failed = self.answered = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _ask(self) -> None:
        import httpx

        with httpx.Client(timeout=60) as client:
            while not self._ended.is_set():
                answer = client.post(self.address, json={"inputs": [{"text": "my card"}]})
                self.answered += 1
                if answer.status_code != 200:
                    self.failed += 1
                    continue
                version = int(answer.json()["predictions"][0]["version"])
                if version != self.last:
                    self.first[version], self.last = time.time(), version
                time.sleep(0.01)

    def wait_for(self, version: int) -> float:
        """Return when a version answered first, once it does."""
        while self.last != version:
            if not self._thread.is_alive():
                raise SystemExit("the client ended: see its error above")
            time.sleep(0.005)
        return self.first[version]


def one_round(workspace: Any, client: Asking) -> dict[str, float]:
    """Return the seconds of one rollback."""
    from flows.registry_access import open_ledger

    holdfast(workspace, "promote", "2", "--override", "--reason", "a round")
    client.wait_for(2)
    began = time.time()
    holdfast(workspace, "rollback", "--reason", "a round")
    ended = time.time()
    answered = client.wait_for(1)
    move = open_ledger(workspace).moves(workspace.params.register_.model_name)[-1]
    moved = datetime.fromisoformat(move.created_at).timestamp()
    return {
        "command_to_answer": answered - began,
        "move_to_answer": answered - moved,
        "exit_to_answer": answered - ended,
    }


def measured(rounds: int, poll_seconds: float) -> list[dict[str, Any]]:
    """Return the records of so many rollbacks."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        workspace, _ = make_workspace(root)
        add_version(workspace, root)
        file = workspace.root / "params.yaml"
        text = file.read_text(encoding="utf-8")
        assert "poll_seconds: 5.0" in text
        file.write_text(text.replace("poll_seconds: 5.0", f"poll_seconds: {poll_seconds}"))
        with ours(workspace, 1) as port, Asking(port) as client:
            found = [one_round(workspace, client) for _ in range(rounds)]
        print(f"{client.answered} answers, {client.failed} of them not 200")
    return [*records_of(found), record("failed_answers", client.failed, "", n=client.answered)]


def records_of(found: list[dict[str, float]]) -> list[dict[str, Any]]:
    """Return median and extremes of each span of time, which are printed too."""
    records = []
    for name in found[0]:
        values = sorted(one[name] for one in found)
        print(f"{name}: " + " ".join(f"{value:.2f}" for value in values) + " s")
        n = len(values)
        records.append(record(f"{name}_median", statistics.median(values), "s", n=n))
        records.append(record(f"{name}_least", values[0], "s", n=n))
        most = record(f"{name}_most", values[-1], "s", n=n, target=TARGET, higher_is_better=False)
        records.append(most if name == "move_to_answer" else {**most, "target": None, "met": None})
    return records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--poll-seconds", type=float, default=5.0)
    asked = parser.parse_args()
    records = measured(asked.rounds, asked.poll_seconds)
    print(write_records("rollback", records))


if __name__ == "__main__":
    main()
