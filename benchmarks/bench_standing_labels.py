"""The standing test of labels on made-up losses: false alarms beside the budget, rows to an alarm.

    .venv/bin/python benchmarks/bench_standing_labels.py [--streams 400]

The risk lies at the line exactly, which is the worst case without harm; then above it, with labels
for all drawn rows, and with labels for some of the wrong answers alone, as complaints are. Prints a
table and writes ``benchmarks/results/standing_labels.json``. Takes about half a minute of CPU.
"""

from __future__ import annotations

import argparse
import math
import statistics
from typing import Any

import numpy as np
from records import record, write_records

from pipeline_steps.monitoring.standing import evidence_path
from pipeline_steps.monitoring_params import MonitorParams

LINE, MONTH, LATER = 0.06, 20_000, 5_000
RISKS = (0.08, 0.1, 0.15, 0.2, 0.3, 0.5)
TOLD = (1.0, 0.3)
Array = np.ndarray[Any, Any]


def losses(rng: np.random.Generator, n: int, risk: float, told: float) -> Array:
    """Return losses as they count: a wrong answer that nobody named counts as right."""
    return np.asarray((rng.random(n) < risk) & (rng.random(n) < told), dtype=float)


def false_alarms(streams: int, threshold: float) -> list[dict[str, Any]]:
    """Return the share of months without harm that have an alarm, beside what was promised."""
    rng = np.random.default_rng(0)
    peaks = [evidence_path(losses(rng, MONTH, LINE, 1.0), LINE).max() for _ in range(streams)]
    found = float(np.mean(np.array(peaks) >= threshold))
    promised = MONTH / threshold
    print(f"months with a false alarm: {found:.3f}; promised at the most: {promised:.3f}")
    name = "standing_false_alarms_a_month"
    return [record(name, found, "share", n=streams, target=promised, higher_is_better=False)]


def delays(streams: int, threshold: float) -> list[dict[str, Any]]:
    """Return the median number of drawn rows to the alarm, by risk and by what is labelled."""
    found = []
    for told in TOLD:
        for risk in RISKS:
            rng = np.random.default_rng(1)
            rows = [_delay(losses(rng, LATER, risk, told), threshold) for _ in range(streams // 4)]
            share, median = sum(map(math.isfinite, rows)) / len(rows), statistics.median(rows)
            print(f"risk {risk:.2f}, {told:.0%} told: {share:.0%} found, median {median:g} rows")
            name = f"standing_risk_{risk:g}_told_{told:g}"
            found.append(record(f"{name}_found", share, "share", n=len(rows)))
            if math.isfinite(median):
                found.append(record(f"{name}_rows", median, "drawn rows", n=len(rows)))
    return found


def _delay(values: Array, threshold: float) -> float:
    over = np.flatnonzero(evidence_path(values, LINE) >= threshold)
    return float(over[0]) + 1.0 if len(over) else math.inf


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=400)
    streams = parser.parse_args().streams
    threshold = MonitorParams().standing_threshold
    print(f"line {LINE}, an alarm at {threshold:g}")
    write_records(
        "standing_labels", [*false_alarms(streams, threshold), *delays(streams, threshold)]
    )


if __name__ == "__main__":
    main()
