"""What the generators share: the command line, and files of rows without repeats."""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Files = Mapping[str, list[Row]]


def different(make: Callable[[random.Random], Row], n: int, random_: random.Random) -> list[Row]:
    """Return ``n`` rows that ``make`` draws, no two of them alike."""
    seen: dict[str, Row] = {}
    while len(seen) < n:
        row = make(random_)
        seen.setdefault(json.dumps(row, sort_keys=True), row)
    return list(seen.values())


def write_files(make_files: Callable[[int], Files], about: str | None) -> None:
    """Write what a generator makes of a seed: one file of JSON Lines for each name."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("directory", type=Path, help="where the files go")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same rows")
    asked = parser.parse_args()
    asked.directory.mkdir(parents=True, exist_ok=True)
    for name, rows in make_files(asked.seed).items():
        path = asked.directory / f"{name}.jsonl"
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        path.write_text("".join(lines), encoding="utf-8")
        print(f"{path}: {len(rows)} rows")


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file of JSON Lines."""
    for line in path.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)
