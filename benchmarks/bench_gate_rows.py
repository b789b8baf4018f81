"""How many test rows a gain of half a point needs at the gate, in the simulated years.

The rule is that of ``bench_gate.py``; rows and planned looks (``gate.looks``) are varied, alpha is
not. Prints a table, writes ``results/gate_rows.json``.

    python benchmarks/bench_gate_rows.py [--rows 3000 6000 12000 24000] [--years 600]
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from gate_years import HOLDFAST, RULES, simulate
from records import record, write_records

LOOKS, GAIN = (52, 12, 4), 0.005
ONLY = {HOLDFAST: RULES[HOLDFAST]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[3_000, 6_000, 12_000, 24_000])
    parser.add_argument("--years", type=int, default=600)
    options = parser.parse_args()
    pairs = [(rows, looks) for rows in options.rows for looks in LOOKS]
    write_records("gate_rows", [r for pair in pairs for r in measure(*pair, options.years)])


def measure(rows: int, looks: int, years: int) -> list[dict[str, Any]]:
    """Return power and false promotions with so many rows and planned looks."""
    name = f"{rows} rows, {looks} looks"
    real = simulate(np.r_[0.0, np.full(looks, GAIN)], years, rows, looks, ONLY)[HOLDFAST]
    none = simulate(np.zeros(looks + 1), years, rows, looks + 1, ONLY)[HOLDFAST]
    first = float((real.week == 1).mean())
    ever = float((real.true > 0).mean())
    false = float((none.false > 0).mean())
    print(f"{name}: first look {first:.3f}, any look {ever:.3f}, false {false:.3f}", flush=True)
    return [
        record(f"{name}: +0.5 points promoted at the first look", first, "share", n=years),
        record(f"{name}: +0.5 points promoted at any look", ever, "share", n=years),
        record(
            f"{name}: years with a false promotion", false, "share", n=years, target=0.05,
            higher_is_better=False,
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
