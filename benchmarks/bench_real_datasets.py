"""The main job on real datasets, next to a plain Trainer script: accuracy, minutes, memory.

For each directory with ``train``, ``valid`` and ``test`` (.jsonl.gz with text and label):
``holdfast init`` and ``holdfast train --json`` in a new workspace, then ``plain_trainer.py`` with
the same base model, epochs and learning rate. Each side is a process of its own, one after the
other. Prints a table and writes ``benchmarks/results/real_datasets.json``.

    python benchmarks/bench_real_datasets.py DIRECTORY [DIRECTORY ...] [--plain] [--best-stock]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from records import record, write_records

HERE = Path(__file__).parent
TARGETS = {"sst2": 0.891, "banking77": 0.925, "clinc150": 0.958}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--set", action="append", default=[], help="finetune.KEY=VALUE")
    parser.add_argument("--plain", action="store_true", help="also run the plain Trainer")
    parser.add_argument("--best-stock", action="store_true", help="also its best stock setting")
    parser.add_argument("--plain-learning-rate", type=float, default=5e-5)
    parser.add_argument("--plain-epochs", type=int, default=4)
    options = parser.parse_args()
    records = [entry for data in options.data for entry in measure(data, options)]
    write_records("real_datasets", records)


def measure(data: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the records of one dataset, and print its line."""
    ours, seconds, peak = run_holdfast(data, options.set)
    accuracy = ours["metrics"]["test/accuracy"]
    f1 = ours["metrics"]["test/macro_f1"]
    print(
        f"{data.name:12s} holdfast  accuracy {interval(accuracy)}  macro-F1 {interval(f1)}  "
        f"{seconds / 60:.1f} min  {peak:.0f} MiB  {ours['verdict']}",
        flush=True,
    )
    target = TARGETS.get(data.name)
    records = [
        record(
            f"{data.name}/accuracy",
            accuracy["value"],
            "share",
            peer=target,
            target=None if target is None else target - 0.005,
            n=accuracy["n"],
            higher_is_better=True,
        ),
        record(f"{data.name}/macro_f1", f1["value"], "share", n=f1["n"]),
        record(f"{data.name}/minutes", seconds / 60, "min", n=1),
        record(f"{data.name}/peak", peak, "MiB", n=1),
    ]
    for stock in [False] * options.plain + [True] * options.best_stock:
        records += beside(data, options, seconds, stock=stock)
    return records


def beside(
    data: Path, options: argparse.Namespace, ours: float, *, stock: bool
) -> list[dict[str, Any]]:
    """Return the records of a plain Trainer run on the same data."""
    plain = run_plain(data, options.plain_epochs, options.plain_learning_rate, stock=stock)
    name = "best_stock" if stock else "plain"
    print(
        f"{data.name:12s} {name:9s} accuracy {plain['accuracy']:.4f}  macro-F1 "
        f"{plain['macro_f1']:.4f}  {plain['seconds'] / 60:.1f} min  {plain['peak_mib']:.0f} MiB  "
        f"time ratio {plain['seconds'] / ours:.2f}",
        flush=True,
    )
    return [
        record(f"{data.name}/{name}_accuracy", plain["accuracy"], "share", n=1),
        record(f"{data.name}/{name}_minutes", plain["seconds"] / 60, "min", n=1),
    ]


def run_holdfast(data: Path, settings: list[str]) -> tuple[dict[str, Any], float, float]:
    """Return the result of ``holdfast train``, its wall seconds and peak memory in MiB."""
    program = str(Path(sys.executable).parent / "holdfast")
    with tempfile.TemporaryDirectory() as directory:
        workspace = Path(directory) / data.name
        files = [f"--{split}={data / f'{split}.jsonl.gz'}" for split in ("train", "valid", "test")]
        subprocess.run([program, "init", str(workspace), *files], check=True, capture_output=True)
        apply_settings(workspace / "params.yaml", settings)
        started = time.perf_counter()
        done = subprocess.run(
            [program, "train", "-w", str(workspace), "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        report = workspace / "data/validated/report.json"
        validation = json.loads(report.read_text(encoding="utf-8"))
        print(f"{data.name:12s} validation: {validation}"[:2000], flush=True)
        split = json.loads((workspace / "data/splits/report.json").read_text(encoding="utf-8"))
        print(f"{data.name:12s} split: {json.dumps(split)}"[:1500], flush=True)
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return json.loads(done.stdout), seconds, peak


def apply_settings(path: Path, settings: list[str]) -> None:
    """Change ``finetune.KEY=VALUE`` settings in a params.yaml."""
    import yaml

    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    for setting in settings:
        name, value = setting.split("=", 1)
        section, key = name.split(".", 1)
        params[section][key] = yaml.safe_load(value)
    if settings:
        path.write_text(yaml.safe_dump(params), encoding="utf-8")


def run_plain(data: Path, epochs: int, rate: float, *, stock: bool) -> dict[str, float]:
    """Return what ``plain_trainer.py`` prints."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, str(HERE / "plain_trainer.py"), str(data)]
        command += [f"--epochs={epochs}", f"--learning-rate={rate}", f"--output={directory}"]
        done = subprocess.run(
            command + ["--best-stock"] * stock, capture_output=True, text=True, check=True
        )
    return json.loads(done.stdout.strip().splitlines()[-1])


def interval(metric: dict[str, Any]) -> str:
    return f"{metric['value']:.4f} [{metric['ci_low']:.4f}, {metric['ci_high']:.4f}]"


if __name__ == "__main__":
    main()
