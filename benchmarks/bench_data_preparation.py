"""Data preparation on short synthetic rows: seconds and peak memory of each stage as rows grow.

Each stage runs in a process of its own, as DVC runs it; its peak is the largest resident set that
the kernel saw. Writes ``benchmarks/results/data_preparation.json``. The target is 4 GB at 5 million
rows; at smaller sizes the line through the two largest sizes says what 5 million rows would take.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from records import record, write_records

STAGES = ("ingest", "validate", "split")
TARGET_ROWS, TARGET_MIB = 5_000_000, 4096
_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[100_000, 300_000, 500_000, 1_000_000]
    )
    parser.add_argument(
        "--directory", type=Path, help="for the workspaces (default: a temporary one)"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        measured = {n: measure(Path(directory) / str(n), n) for n in sorted(arguments.rows)}
    print_table(measured)
    write_records("data_preparation", [*records_of(measured), *extrapolated(measured)])


def measure(workspace: Path, n: int) -> dict[str, tuple[float, float]]:
    """Return seconds and peak MiB of each stage over n rows."""
    make_workspace(workspace, n)
    measured = {}
    for stage in STAGES:
        measured[stage] = run_stage(workspace, stage)
        seconds, peak = measured[stage]
        print(f"{n:>9,} rows  {stage:9s} {seconds:7.1f} s {peak:7.0f} MiB", flush=True)
    return measured


def make_workspace(workspace: Path, n: int, seed: int = 0) -> None:
    """Write n short rows of 20 labels: one in 50 repeats another, one in 200 is bad."""
    workspace.mkdir(parents=True)
    generator = random.Random(seed)
    words = ["".join(generator.choice(s) for s in (_CONSONANTS, _VOWELS) * 3) for _ in range(5_000)]
    with (workspace / "raw.jsonl").open("w", encoding="utf-8") as file:
        text = ""
        for number in range(n):
            if number % 50 or not text:
                text = " ".join(generator.choices(words, k=generator.randint(5, 14)))
            row: dict[str, Any] = {
                "id": f"m{number}",
                "text": None if generator.random() < 0.005 else text,
                "label": f"label{generator.randrange(20)}",
                "at": 1_700_000_000 + 60 * number,
                "channel": generator.choice(("mail", "chat", "phone")),
                "customer": f"c{generator.randrange(n // 3)}",
            }
            file.write(json.dumps(row) + "\n")
    columns = {"id": "id", "timestamp": "at", "domain": "channel", "group": "customer"}
    params = {"ingest": {"sources": [{"path": "raw.jsonl"}], "columns": columns}}
    (workspace / "params.yaml").write_text(json.dumps(params), encoding="utf-8")


def run_stage(workspace: Path, stage: str) -> tuple[float, float]:
    """Return seconds and peak resident MiB of one stage in a process of its own."""
    command = [sys.executable, "-P", "-m", "pipeline_steps.data_preparation", stage]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=workspace, stderr=subprocess.PIPE)
    assert process.stderr is not None
    messages = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"{stage} failed:\n{messages}")
    # Kilobytes on Linux, bytes on macOS.
    return seconds, usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)


def print_table(measured: dict[int, dict[str, tuple[float, float]]]) -> None:
    print("\n" + f"{'rows':>10s}" + "".join(f"{stage:>22s}" for stage in STAGES))
    for n, stages in measured.items():
        cells = "".join(f"{stages[s][0]:10.1f} s {stages[s][1]:5.0f} MiB" for s in STAGES)
        print(f"{n:>10,d}{cells}")


def records_of(measured: dict[int, dict[str, tuple[float, float]]]) -> list[dict[str, Any]]:
    records = []
    for n, stages in measured.items():
        for stage, (seconds, peak) in stages.items():
            name = f"{stage}/{n}"
            records.append(record(f"{name}/seconds", round(seconds, 2), "s", n=n))
            records.append(
                record(
                    f"{name}/peak_memory", round(peak), "MiB", n=n, target=TARGET_MIB,
                    higher_is_better=False,
                )
            )  # fmt: skip
    return records


def extrapolated(measured: dict[int, dict[str, tuple[float, float]]]) -> list[dict[str, Any]]:
    """Return the peak of each stage at 5 million rows, on the line through the largest two sizes."""
    sizes = sorted(measured)[-2:]
    if len(sizes) < 2:
        return []
    records = []
    for stage in STAGES:
        peaks = [measured[n][stage][1] for n in sizes]
        slope, intercept = np.polyfit(sizes, peaks, 1)
        expected = round(float(slope * TARGET_ROWS + intercept))
        print(f"{stage:9s} {slope * 1000:6.2f} MiB a 1,000 rows; {TARGET_ROWS:,}: {expected} MiB")
        records.append(
            record(
                f"{stage}/{TARGET_ROWS}/peak_memory_extrapolated", expected, "MiB", n=sizes[-1],
                target=TARGET_MIB, higher_is_better=False,
            )
        )  # fmt: skip
    return records


if __name__ == "__main__":
    main()
