"""How fast each kind of noise is, and which share of the rows it changes.

Takes gzipped JSON Lines with a field ``text``, of which the first 10,000 rows are used; writes
``benchmarks/results/noise.json``. CPU seconds, the best of three rounds at severity 3.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path

from records import record, write_records

from pipeline_steps.noise.catalog import KINDS, SEVERITIES, perturb, rate_of

ROWS = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    texts = list(texts_in(parser.parse_args().files))[:ROWS]
    records = []
    for kind in KINDS:
        loading = seconds(["the right card"], kind, 3)
        speed = len(texts) / min(seconds(texts, kind, 3) for _ in range(3))
        changed = [share_changed(texts, kind, severity) for severity in SEVERITIES]
        shares = " ".join(f"{share:6.1%}" for share in changed)
        print(f"{kind:14s} {speed:9,.0f} rows/s  first text {loading:.2f} s  changed {shares}")
        records.append(record(f"{kind}/rows_per_cpu_second", speed, "rows/s", n=len(texts)))
        records += [
            record(f"{kind}/changed/severity_{severity}", share, "share", n=len(texts))
            for severity, share in zip(SEVERITIES, changed, strict=True)
        ]
    write_records("noise", records)


def texts_in(files: list[Path]) -> Iterator[str]:
    for file in files:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            yield from (json.loads(line)["text"] for line in lines)


def noisy(texts: list[str], kind: str, severity: int) -> list[str]:
    rate = rate_of(kind, severity)
    return [perturb(t, kind, rate, seed=0, example_id=f"{i}") for i, t in enumerate(texts)]


def seconds(texts: list[str], kind: str, severity: int) -> float:
    start = time.process_time()
    noisy(texts, kind, severity)
    return time.process_time() - start


def share_changed(texts: list[str], kind: str, severity: int) -> float:
    pairs = zip(texts, noisy(texts, kind, severity), strict=True)
    return sum(before != after for before, after in pairs) / len(texts)


if __name__ == "__main__":
    main()
