"""Real (unpadded) tokens a CPU second in fine-tuning, beside the Trainer as people run it.

All sides train MiniLM in one process on the same rows, one after the other in each round, from the
same weights; a short warm-up of every side comes first. A side's clock runs from the start of its
training loop to the end of its last step: collation, forward, backward, optimizer, logging; not
loading, tokenising, evaluating or saving. Sides with random batches run 40 steps of an epoch, whose
cost for a token is that of the others; sides that sort by length run the whole epoch, as their
batches differ along it. Ratios compare within a round. The share of the machine's ceiling is
encoder FLOPs of real tokens (backward twice the forward; once where the weights are frozen) over
the best matrix product that the same process reached, both a CPU second. Peak memory is of a child process
for each side. Writes ``benchmarks/results/finetune.json``.

    python benchmarks/bench_finetune.py [--data DIRECTORY] [--threads 1] [--rounds 3] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

TARGETS = {"holdfast_full": 1.3, "holdfast_lora": 1.8}
CEILING_TARGET = 0.7
BEST_STOCK = "trainer_grouped"
RANDOM_STEPS = 40
WARM_UP_STEPS = 3
MEMORY_STEPS = 15


def main() -> None:
    options = arguments()
    # Before torch is imported: its pools are sized and its tokenizers started once.
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from finetune_sides import make_sides, read_rows

    rows = read_rows(options.data, options.rows, seed=0)
    with tempfile.TemporaryDirectory() as work:
        sides = make_sides(rows, Path(work))
        if options.only:
            print(json.dumps(memory_of(sides[options.only])))
            return
        rounds = measure(sides, options)
    table = summarise(rounds)
    peaks = {} if options.quick else {name: peak_memory(name) for name in sides}
    print_table(table, peaks)
    if not options.quick:
        write(table, rounds, peaks, options)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="directory with train.jsonl.gz (text, label)")
    parser.add_argument("--rows", type=int, default=3_200, help="of a seeded sample")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a smoke run; writes nothing")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.rows, options.rounds = 160, 1
    return options


def measure(sides: dict[str, Any], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return for each round the ceilings and each side's timing."""
    from finetune_sides import ceilings

    for side in sides.values():
        side.run(WARM_UP_STEPS)
    rounds = []
    for number in range(options.rounds):
        found: dict[str, Any] = {"ceilings": ceilings()}
        for name, side in sides.items():
            found[name] = side.run(steps_of(side, options))
            t = found[name]
            print(f"round {number + 1} {name:24s} {t.tokens / t.cpu:8.0f} tokens/CPU s", flush=True)
        rounds.append(found)
    return rounds


def steps_of(side: Any, options: argparse.Namespace) -> int | None:
    """Return how many steps to run; ``None`` is the whole epoch."""
    if options.quick:
        return WARM_UP_STEPS
    return RANDOM_STEPS if side.random_batches else None


def summarise(rounds: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return medians over rounds, and the ratio to the best stock side as (median, min, max)."""
    stock = fastest(BEST_STOCK, rounds[0])
    table = {}
    for name in [key for key in rounds[0] if key != "ceilings"]:
        timings = [found[name] for found in rounds]
        ratios = [
            (found[name].tokens / found[name].cpu) / (found[stock].tokens / found[stock].cpu)
            for found in rounds
        ]
        ceiling = max(found["ceilings"][timings[0].precision] for found in rounds)
        table[name] = {
            "cpu": statistics.median(t.tokens / t.cpu for t in timings),
            "wall": statistics.median(t.tokens / t.wall for t in timings),
            "ratio": (statistics.median(ratios), min(ratios), max(ratios)),
            "share": statistics.median(t.flops / t.cpu for t in timings) / ceiling,
            "precision": timings[0].precision,
            "loss": statistics.median(t.loss for t in timings),
        }
    return table


def fastest(side: str, names: Iterable[str]) -> str:
    """Return a side's name in the precision that pays on this machine: bf16 where it is there."""
    return f"{side}_bf16" if f"{side}_bf16" in names else f"{side}_fp32"


def memory_of(side: Any) -> dict[str, float]:
    """Return the peak resident MiB of this process after some training of one side."""
    side.run(MEMORY_STEPS if side.random_batches else None)
    return {"peak_mib": peak_mib()}


def peak_mib() -> float:
    """Return the peak resident MiB of this process.

    Not ``ru_maxrss``: on Linux that begins at what the parent held when it forked.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def peak_memory(name: str) -> float:
    """Return the peak of one side in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, *sys.argv[1:], "--only", name],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(json.loads(done.stdout.strip().splitlines()[-1])["peak_mib"])


def print_table(table: dict[str, dict[str, Any]], peaks: dict[str, float]) -> None:
    print(f"\n{'':24s}{'tok/CPU s':>10s}{'tok/s':>9s}{'ratio':>22s}{'ceiling':>16s}{'MiB':>7s}")
    for name, line in table.items():
        median, low, high = line["ratio"]
        print(
            f"{name:24s}{line['cpu']:10.0f}{line['wall']:9.0f}   {median:6.2f} [{low:.2f}, {high:.2f}]"
            f"{line['share']:9.0%} {line['precision']}{peaks.get(name, 0):9.0f}  loss {line['loss']:.3f}"
        )


def write(
    table: dict[str, dict[str, Any]],
    rounds: list[dict[str, Any]],
    peaks: dict[str, float],
    options: argparse.Namespace,
) -> None:
    from records import record, write_records

    n = options.rounds
    stock = table[fastest(BEST_STOCK, table)]["cpu"]
    targets = {fastest(side, table): target for side, target in TARGETS.items()}
    records = [
        record(f"gemm_ceiling/{precision}", max(r["ceilings"][precision] for r in rounds) / 1e9,
               "GFLOP/s", n=n)
        for precision in ("fp32", "bf16")
    ]  # fmt: skip
    for name, line in table.items():
        median, low, high = line["ratio"]
        wanted = CEILING_TARGET if name == fastest("holdfast_full", table) else None
        records += [
            record(f"{name}/tokens_per_cpu_second", line["cpu"], "tokens/CPU s", n=n, peer=stock),
            record(f"{name}/tokens_per_second", line["wall"], "tokens/s", n=n),
            record(f"{name}/ratio_to_best_stock", median, "x", n=n, target=targets.get(name)),
            record(f"{name}/ratio_to_best_stock_min", low, "x", n=n),
            record(f"{name}/ratio_to_best_stock_max", high, "x", n=n),
            record(f"{name}/share_of_gemm_ceiling", line["share"], "share", n=n, target=wanted),
            record(f"{name}/mean_training_loss", line["loss"], "nats", n=n, higher_is_better=False),
            record(f"{name}/peak_memory", peaks[name], "MiB", n=1, higher_is_better=False),
        ]
    print(write_records("finetune", records))


if __name__ == "__main__":
    main()
