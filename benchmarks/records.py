"""The form of a benchmark's result: one record a number, losses included."""

from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def record(
    name: str,
    value: float,
    unit: str,
    *,
    n: int,
    peer: float | None = None,
    target: float | None = None,
    higher_is_better: bool = True,
) -> dict[str, Any]:
    """Return one record; ``met`` is ``None`` where no target was set."""
    met = None if target is None else (value >= target) == higher_is_better or value == target
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "peer": peer,
        "target": target,
        "met": met,
        "n": n,
        "machine": machine(),
        "commit": commit(),
    }


def write_records(benchmark: str, records: list[dict[str, Any]]) -> Path:
    """Return ``benchmarks/results/<benchmark>.json`` after writing the records to it."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{benchmark}.json"
    path.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    return path


def machine() -> str:
    """Return processor, cores and operating system in one line."""
    import os

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), "")
    return f"{model or platform.processor()}, {os.cpu_count()} cores, {platform.system()}"


def commit() -> str:
    """Return the short commit, with ``+`` where the tree has changes."""
    answer = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"],
        cwd=RESULTS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip()
