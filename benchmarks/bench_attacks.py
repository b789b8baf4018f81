"""DeepWordBug on a fine-tuned model, beside TextAttack at its best setting and as it is shipped.

Both sides attack the same rows of the same checkpoint with one thread, each in a process of its
own, one after the other in each round; a clock runs over the attack only, after a warm-up.
TextAttack pads every text to 512 tokens as it is shipped (measured on few rows); its best setting
is ``padding=True``. Ratios compare within a round. TextAttack lives in an environment of its own
(see ``textattack_side.py``). Writes ``benchmarks/results/attacks.json``.

    python benchmarks/bench_attacks.py WORKSPACE --textattack PYTHON [--rows 200] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from records import record, write_records

HERE = Path(__file__).parent
SPEED_TARGET = 2.5
NEAR = 0.02  # two points of accuracy under attack
STOCK_ROWS = 10


def main() -> None:
    options = arguments()
    request = request_of(options)
    rounds = [one_round(request, options, seed) for seed in range(options.rounds)]
    stock = run_side(
        [options.textattack, str(HERE / "textattack_side.py")],
        {**request, "rows": request["rows"][:STOCK_ROWS], "padding": False, "seed": 0},
    )
    write_records("attacks", records_of(rounds, stock))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path, help="with a trained text classifier")
    parser.add_argument("--textattack", required=True, help="the interpreter that has it")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def request_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return what both sides are asked: the newest checkpoint and a seeded draw of test rows."""
    import pyarrow.parquet as pq

    from pipeline_steps.evaluation.attacks.attack import drawn_rows
    from pipeline_steps.inference.checkpoint import load_checkpoint

    found = (options.workspace / ".holdfast/checkpoints").glob("*/meta.json")
    newest = max(found, key=lambda path: path.stat().st_mtime).parent.resolve()
    labels = load_checkpoint(newest).labels
    table = pq.read_table(options.workspace / "data/splits/test.parquet")
    rows = drawn_rows(table.to_pylist(), options.rows, seed=0)
    return {
        "model": str(newest),
        "threads": options.threads,
        "rows": [{"text": row["text"], "label": labels.index(row["label"])} for row in rows],
    }


def one_round(
    request: dict[str, Any], options: argparse.Namespace, seed: int
) -> dict[str, dict[str, Any]]:
    """Return the outcome of every side, run one after the other."""
    ours = [sys.executable, str(HERE / "attack_side.py")]
    theirs = [options.textattack, str(HERE / "textattack_side.py")]
    found = {
        "textattack": run_side(theirs, {**request, "padding": True, "seed": seed}),
        "holdfast_fp32": run_side(ours, {**request, "scout": "none", "seed": seed}),
        "holdfast": run_side(ours, {**request, "scout": "auto", "seed": seed}),
    }
    for name, side in found.items():
        print(f"seed {seed}  {name:14s} {describe(side)}", flush=True)
    return found


def run_side(command: list[str], request: dict[str, Any]) -> dict[str, Any]:
    """Return what a side prints last.

    Raises
    ------
    SystemExit
        If it fails, with what it wrote to standard error.
    """
    threads = str(request["threads"])
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "HF_HUB_OFFLINE": "1"}
    ended = subprocess.run(
        command, input=json.dumps(request), capture_output=True, text=True, check=False,
        env=environment,
    )  # fmt: skip
    if ended.returncode:
        raise SystemExit(f"{command[-1]} failed:\n{ended.stderr}")
    result: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    return result


def describe(side: dict[str, Any]) -> str:
    return (
        f"clean {side['clean']:.3f}  under attack {side['under_attack']:.3f}  "
        f"{side['queries'] / side['n']:.1f} queries a row  {side['cpu']:.1f} CPU s  "
        f"{side['n'] / side['cpu']:.2f} rows/CPU s"
    )


def records_of(
    rounds: list[dict[str, dict[str, Any]]], stock: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return the records of all sides; the ratio with its least and greatest round."""
    n = rounds[0]["holdfast"]["n"]
    print(f"textattack as shipped, {stock['n']} rows: {describe(stock)}")
    records = [
        record(
            "textattack_as_shipped/rows_per_cpu_s", stock["n"] / stock["cpu"], "1/s", n=stock["n"]
        )
    ]
    for name in rounds[0]:
        speeds = [side[name]["n"] / side[name]["cpu"] for side in rounds]
        harm = [side[name]["under_attack"] for side in rounds]
        records += [
            record(f"{name}/rows_per_cpu_s", statistics.median(speeds), "1/s", n=n),
            record(f"{name}/accuracy_under_attack", statistics.mean(harm), "share", n=n),
        ]
    for name in ("holdfast_fp32", "holdfast"):
        ratios = sorted(side["textattack"]["cpu"] / side[name]["cpu"] for side in rounds)
        print(
            f"{name} over textattack: {ratios[len(ratios) // 2]:.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}]"
        )
        target = SPEED_TARGET if name == "holdfast" else None
        records += [
            record(
                f"{name}/speed_over_textattack", statistics.median(ratios), "x", n=n, target=target
            ),
            record(f"{name}/speed_over_textattack_least", ratios[0], "x", n=n),
            record(f"{name}/speed_over_textattack_greatest", ratios[-1], "x", n=n),
        ]
    gaps = [
        side["holdfast"]["under_attack"] - side["textattack"]["under_attack"] for side in rounds
    ]
    gap = abs(statistics.mean(gaps))
    return [
        *records,
        record("accuracy_under_attack_gap", gap, "share", n=n, target=NEAR, higher_is_better=False),
    ]


if __name__ == "__main__":
    main()
