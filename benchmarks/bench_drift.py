"""Drift detection and confirmation of harm on real text, beside what others do.

Data sets (folders of JSON lines): CLINC150, BANKING77 and tweets by year; a logistic regression on
MiniLM embeddings is the frozen model. No-drift streams are permutations of held-out rows. Peers:
Evidently at its best (KS on the confidence, windows of 100, 200 and 500), ADWIN on the confidence
(river, in a Python of its own), each at the same budget of false alarms; Evidently's defaults on
windows of 500; always and never. Times are CPU seconds. A detector that has alarmed starts anew, so
that an alarm before the change costs nobody the change. Writes ``benchmarks/results/drift.json``.

    python benchmarks/bench_drift.py DATA WORK [--river PYTHON] [--streams 10] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from drift_memory import memory
from drift_speed import preset_flags, speed
from drift_streams import HARMLESS, Scored, World, streams, world
from records import RESULTS, record, write_records

from pipeline_steps.monitoring.confirm import first_verdict, risk_line
from pipeline_steps.monitoring.e_detector import EDetector

NAMES = ("clinc150", "banking77", "twitter_sentiment_years")
PARTS = ("detection", "speed", "memory", "evidently")
BUDGET = 1e-5  # false alarms a row: one a month at 100,000 rows a month
THRESHOLD = 1.0 / BUDGET
LAXER = (3e4, 1e4, 3e3)
LEVELS = (0.05, 0.1, 0.2, 0.5)
WINDOW = 500
WINDOWS = (100, 200, WINDOW)
BEFORE, AFTER = 1_000, 3_000
CAP, ALPHA, TOLERATED = 400, 0.05, 0.02
Cell = tuple[str, str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--river", help="a Python in which river is installed")
    parser.add_argument("--streams", type=int, default=10)
    parser.add_argument("--null-streams", type=int, default=40)
    parser.add_argument("--only", choices=NAMES, nargs="*", default=NAMES, help="data sets")
    parser.add_argument("--parts", choices=PARTS, nargs="*", default=PARTS, help="of the bench")
    parser.add_argument("--quick", action="store_true", help="a smoke run; writes nothing")
    options = parser.parse_args()
    os.environ["DO_NOT_TRACK"] = "1"
    if options.quick:
        options.streams, options.null_streams = 2, 3
    records: list[dict[str, Any]] = []
    for name in options.only:
        place = world(options.data, name, options.work)
        if "detection" in options.parts:
            traces: dict[str, Any] = {}
            records += measure(place, options, traces)
            records += peers(traces, options)
        if name == NAMES[0] and "speed" in options.parts:
            records += speed(place, rounds=2 if options.quick else 5)
        if name == NAMES[0] and "memory" in options.parts:
            records += memory(options.data, options.work, name)
        if name == NAMES[0] and "evidently" in options.parts:
            records += evidently(place, options)
    if not options.quick:
        print(write_records("drift", beside_earlier(records)))


def beside_earlier(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return these records and those of earlier runs that they do not replace."""
    file = RESULTS / "drift.json"
    earlier = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    names = {one["name"] for one in records}
    return [*(one for one in earlier if one["name"] not in names), *records]


def cells(place: World) -> list[Cell]:
    """Return the changes of a data set: kinds and levels, or whole years."""
    if place.name.startswith("twitter"):
        return [(place.name, year, 1.0) for year in place.shifted]
    return [(place.name, kind, level) for kind in place.shifted for level in LEVELS]


def measure(place: World, options: Any, traces: dict[str, Any]) -> list[dict[str, Any]]:
    """Return our numbers on one data set; ``traces`` gets what peers look at."""
    print(f"\n{place.name}: error rate {place.usual.losses.mean():.3f}", flush=True)
    alarms, rows = 0, 0
    for seed in range(options.null_streams):
        reference, stream = streams(place, None, 0.0, seed, n_before=0, n_after=0)
        crossed = crossings(place, reference, stream, seed)
        alarms += len(crossed[THRESHOLD])
        rows += len(stream)
        traces[f"{place.name}|none|0|{seed}"] = trace(reference, stream, 0) | {"ours": crossed}
    bound = rows * BUDGET
    print(f"no drift: {alarms} alarms in {rows} rows, budget {bound:.2f}", flush=True)
    found = [
        record(f"{place.name}_false_alarms", alarms, f"alarms in {rows} rows", n=rows,
               target=_poisson_limit(bound), higher_is_better=False),
    ]  # fmt: skip
    print("| shift | level | risk | found | rows to alarm | harm | benign | labels |")
    print("|---|---|---|---|---|---|---|---|")
    for cell in cells(place):
        found += measure_cell(place, cell, options, traces)
    return found


def _poisson_limit(mean: float) -> float:
    """Return the alarms that a process within its budget exceeds in one of a thousand benches."""
    from scipy import stats

    return float(stats.poisson.isf(0.001, mean))


def measure_cell(
    place: World, cell: Cell, options: Any, traces: dict[str, Any]
) -> list[dict[str, Any]]:
    delays, verdicts, labels, risks = [], [], [], []
    for seed in range(options.streams):
        reference, stream = streams(place, *cell[1:], 1_000 + seed, n_before=BEFORE, n_after=AFTER)
        start = len(stream) - AFTER
        crossed = crossings(place, reference, stream, seed, start)
        key = f"{place.name}|{cell[1]}|{cell[2]}|{seed}"
        traces[key] = trace(reference, stream, start) | {"ours": crossed}
        at = next((row for row in crossed[THRESHOLD] if row >= start), None)
        risks.append(stream.losses[start:].mean())
        delays.append(np.inf if at is None else at - start)
        if at is not None:
            verdict, n = confirmed(reference, stream.losses[at + 1 :], seed)
            verdicts.append(verdict)
            labels.append(n)
    n, hit = len(delays), np.isfinite(delays)
    share = {v: verdicts.count(v) / n for v in ("harm", "benign")}
    median = float(np.median(delays))
    asked = float(np.median(labels)) if labels else float("nan")
    print(
        f"| {cell[1]} | {cell[2]:.2f} | {np.mean(risks):.3f} | {hit.mean():.0%} | {median:.0f} | "
        f"{share['harm']:.0%} | {share['benign']:.0%} | {asked:.0f} |",
        flush=True,
    )
    key = f"{place.name}_{cell[1].replace(' ', '_')}_{cell[2]:g}"
    made = [record(f"{key}_found", round(float(hit.mean()), 3), "share within 3,000 rows", n=n)]
    if np.isfinite(median):
        made.append(record(f"{key}_delay", median, "rows, median", n=n))
    target = ALPHA if cell[1] in HARMLESS else None
    made.append(
        record(f"{key}_harm", share["harm"], "share of streams confirmed as harm", n=n,
               target=target, higher_is_better=False)
    )  # fmt: skip
    if labels:
        made.append(record(f"{key}_labels", asked, "labels a ticket, median", n=len(labels)))
    return made


def crossings(
    place: World, reference: Scored, stream: Scored, seed: int, start: int | None = None
) -> dict[float, list[int]]:
    """Return the rows of the alarms at the budget, and at laxer ones.

    With ``start``, the row of the change, up to the first alarm behind it.
    """
    u = np.asarray(np.random.default_rng(seed).random(stream.scores.shape))
    whole = EDetector.on(place.score_names, reference.scores, THRESHOLD)
    path = whole.observe(stream.scores, u)
    last = len(stream) if start is None else start
    return {t: restarted(place, reference, stream, u, path, t, last) for t in (THRESHOLD, *LAXER)}


def restarted(
    place: World, reference: Scored, stream: Scored, u: Any, path: Any, threshold: float, last: int
) -> list[int]:
    """Return the rows of alarms of a detector that starts anew behind each before ``last``."""
    found, start = [], 0
    while (over := np.flatnonzero(path >= threshold)).size:
        found.append(start + int(over[0]))
        start = found[-1] + 1
        if start > last or start >= len(stream):
            break
        again = EDetector.on(place.score_names, reference.scores, threshold)
        path = again.observe(stream.scores[start:], u[start:])
    return found


def confirmed(reference: Scored, losses: Any, seed: int) -> tuple[str, int]:
    """Return the verdict of rows drawn after the alarm, and how many labels it took."""
    line = risk_line(reference.losses, tolerated=TOLERATED, confidence=0.95)
    drawn = np.random.default_rng(seed).permutation(losses)[:CAP]
    verdict, n, _ = first_verdict(drawn, line, ALPHA)
    return verdict, n


def trace(reference: Scored, stream: Scored, start: int) -> dict[str, Any]:
    return {
        "reference": reference.probabilities.max(axis=1),
        "stream": stream.probabilities.max(axis=1),
        "start": start,
    }


def peers(traces: dict[str, Any], options: Any) -> list[dict[str, Any]]:
    """Return delays of KS and ADWIN on the confidence over the same streams."""
    rows = sum(len(t["stream"]) for k, t in traces.items() if "|none|" in k)
    found = {
        f"evidently ks {window}": {key: ks_alarms(t, window) for key, t in traces.items()}
        for window in WINDOWS
    }
    for a in (THRESHOLD, *LAXER):
        found[f"ours, A {a:g}"] = {key: t["ours"][a] for key, t in traces.items()}
    records = []
    if options.river:
        adwin, seconds = adwin_alarms(traces, options)
        records.append(
            record(f"{_data(traces)}_adwin_seconds", round(seconds, 3), "CPU s a 10,000 rows", n=1)
        )
        null = {d: sum(len(a) for k, a in by.items() if "|none|" in k) for d, by in adwin.items()}
        print(f"\nADWIN, false alarms in {rows} rows by delta: {null}")
        found |= {f"adwin, delta {delta}": alarms for delta, alarms in adwin.items()}
        for delta, n in null.items():
            records.append(
                record(
                    f"{_data(traces)}_adwin_{delta}_false_alarms",
                    n,
                    f"alarms in {rows} rows",
                    n=rows,
                )
            )
    print("\n| peer | stream | found | rows to alarm |\n|---|---|---|---|")
    for peer, alarms in found.items():
        records += summarize(peer, alarms, traces)
    return records


def _data(traces: dict[str, Any]) -> str:
    return next(iter(traces)).partition("|")[0]


def summarize(
    peer: str, alarms: dict[str, list[int]], traces: dict[str, Any]
) -> list[dict[str, Any]]:
    by_cell: dict[str, list[float]] = {}
    false = 0
    for key, rows in alarms.items():
        start = traces[key]["start"]
        if "|none|" in key:
            false += len(rows)
            continue
        after = [row for row in rows if row >= start]
        delay = after[0] - start if after else np.inf
        by_cell.setdefault(key.rpartition("|")[0], []).append(delay)
    made = []
    print(f"| {peer} | no drift | {false} false alarms | |")
    for cell, delays in by_cell.items():
        median, share = float(np.median(delays)), float(np.isfinite(delays).mean())
        print(f"| {peer} | {cell} | {share:.0%} | {median:.0f} |")
        name = f"{peer.replace(', ', '_').replace(' ', '_')}_{cell.replace('|', '_').replace(' ', '_')}"
        made.append(
            record(f"{name}_found", round(share, 3), "share within 3,000 rows", n=len(delays))
        )
        if np.isfinite(median):
            made.append(record(f"{name}_delay", median, "rows, median", n=len(delays)))
    made.append(
        record(
            f"{_data(traces)}_{peer.replace(', ', '_').replace(' ', '_')}_null_alarms",
            false,
            "alarms",
            n=len(alarms),
        )
    )
    return made


def ks_alarms(one: dict[str, Any], size: int) -> list[int]:
    """Return the last row of each window that Evidently's KS test rejects at the budget.

    The p-values are SciPy's, as Evidently's are (held by a test of the incident report).
    """
    from scipy import stats

    found = []
    for end in range(size, len(one["stream"]) + 1, size):
        window = one["stream"][end - size : end]
        if stats.ks_2samp(one["reference"], window, method="asymp").pvalue < size * BUDGET:
            found.append(end - 1)
    return found


def adwin_alarms(traces: dict[str, Any], options: Any) -> tuple[dict[str, Any], float]:
    """Return the alarms of ADWIN that saw the reference first, by delta and stream."""
    streams_file, out = options.work / "streams.npz", options.work / "adwin.json"
    joint = {k: np.concatenate([t["reference"], t["stream"]]) for k, t in traces.items()}
    np.savez(streams_file, allow_pickle=False, **joint)
    side = Path(__file__).with_name("drift_adwin_side.py")
    subprocess.run([options.river, str(side), str(streams_file), str(out)], check=True)
    content = json.loads(out.read_text())
    shifted = {
        delta: {
            key: [r - len(traces[key]["reference"]) for r in rows
                  if r >= len(traces[key]["reference"])]
            for key, rows in by.items()
        }
        for delta, by in content["found"].items()
    }  # fmt: skip
    return shifted, content["seconds"]


def evidently(place: World, options: Any) -> list[dict[str, Any]]:
    """Return flags of Evidently's preset at its defaults on windows of 500."""
    import pandas as pd

    warnings.simplefilter("ignore")
    n_windows = 2 if options.quick else 8
    flags: dict[str, list[bool]] = {}
    for kind, level in ((None, 0.0), ("oos", 0.2), ("polite", 0.2)):
        for seed in range(n_windows):
            reference, stream = streams(
                place, kind, level, 500 + seed, n_before=BEFORE, n_after=AFTER
            )
            window = stream.take(np.arange(len(stream) - WINDOW, len(stream)))
            tables = [
                pd.DataFrame({
                    "text": part.texts.astype(str),
                    "confidence": part.probabilities.max(axis=1),
                    "predicted": part.predicted.astype(str),
                })
                for part in (window, reference)
            ]  # fmt: skip
            for column, flag in preset_flags(*tables).items():
                flags.setdefault(f"{kind or 'none'}_{column}", []).append(flag)
    for name, found in flags.items():
        print(f"  {name}: {np.mean(found):.0%} of {len(found)} windows")
    return [
        record(
            f"evidently_{name}", round(float(np.mean(f)), 3), "share of windows flagged", n=len(f)
        )
        for name, f in flags.items()
    ]


if __name__ == "__main__":
    main()
