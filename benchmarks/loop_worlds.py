"""What ``bench_loop.py`` plays: a workspace's first rows, then stretches of real later traffic."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Row = dict[str, Any]
SETS = ("twitter_sentiment_years", "clinc150")
YEARS = (2014, 2015, 2016, 2017)
N_KNOWN, N_UNSEEN, OF_LABEL = 36, 8, 40
N_STRETCH = 500  # of CLINC150
N_HALF_YEAR = 900  # of tweets
UNSEEN_SHARE = (0.0, 0.0, 0.1, 0.2, 0.3, 0.3)
POLITE = 1  # the stretch of CLINC150 in which every text is polite, and nothing else is new


@dataclass(frozen=True)
class Stretch:
    """Traffic between two looks at a calendar: two stretches are a year, or a period."""

    name: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class World:
    """Rows to begin with, and what comes after them.

    Parameters
    ----------
    files : mapping
        Rows by partition: train, valid, test.
    stretches : sequence of Stretch
        Later traffic, in its order.
    labels : int
        Labels that one retrain buys.
    epochs : int
        Of the first training and of each retrain.
    """

    name: str
    files: dict[str, list[Row]]
    stretches: Sequence[Stretch]
    labels: int
    epochs: int


def make_world(data: Path, name: str, *, quick: bool = False) -> World:
    """Return one of the sets; the same rows every time."""
    found = _tweets(data / name) if name == SETS[0] else _intents(data / name)
    if not quick:
        return found
    short = [Stretch(s.name, s.rows[:120]) for s in found.stretches[:4]]
    files = {part: rows[:400] for part, rows in found.files.items()}
    return World(found.name, files, short, labels=100, epochs=1)


def _tweets(directory: Path) -> World:
    """Return 2013, then each later year in two halves; rows within a year are in random order."""
    rng = np.random.default_rng(0)
    files = {
        part: _drawn(_read(directory / f"{part}.jsonl.gz"), n, rng)
        for part, n in (("train", 3_000), ("valid", 500), ("test", 1_500))
    }
    stretches = []
    for year in YEARS:
        rows = _drawn(_read(directory / f"shift_{year}.jsonl.gz"), 2 * N_HALF_YEAR, rng)
        stretches += [Stretch(f"{year} {h}", rows[i::2]) for i, h in enumerate(("I", "II"))]
    return World(SETS[0], files, stretches, labels=800, epochs=2)


def _intents(directory: Path) -> World:
    """Return 36 intents, then traffic into which 8 come that the first training never saw."""
    rng = np.random.default_rng(0)
    parts = {part: _read(directory / f"{part}.jsonl.gz") for part in ("train", "valid", "test")}
    names = rng.permutation(sorted({row["label"] for row in parts["train"]}))
    known, unseen = {*names[:N_KNOWN]}, {*names[N_KNOWN : N_KNOWN + N_UNSEEN]}
    of_known = {
        part: _drawn([row for row in rows if row["label"] in known], len(rows), rng)
        for part, rows in parts.items()
    }
    learnt, rest = _first_of_each(of_known["train"], OF_LABEL)
    valid, more = _first_of_each(of_known["valid"], 8)
    usual = _drawn([*rest, *more], len(rest) + len(more), rng)
    new = _drawn([r for rows in parts.values() for r in rows if r["label"] in unseen], 10_000, rng)
    stretches = []
    for number, share in enumerate(UNSEEN_SHARE):
        n_new = round(N_STRETCH * share)
        n_usual = N_STRETCH - n_new
        rows = [*usual[:n_usual], *new[:n_new]]
        usual, new = usual[n_usual:], new[n_new:]
        if number == POLITE:
            rows = [{**row, "text": f"hi there {row['text']} thanks"} for row in rows]
        stretches.append(Stretch(_called(number, share), _drawn(rows, len(rows), rng)))
    files = {"train": learnt, "valid": valid, "test": of_known["test"]}
    return World(SETS[1], files, stretches, labels=400, epochs=8)


def _called(number: int, share: float) -> str:
    what = "polite" if number == POLITE else f"{share:.0%} unseen" if share else "usual"
    return f"{number + 1}: {what}"


def _first_of_each(rows: Sequence[Row], n: int) -> tuple[list[Row], list[Row]]:
    """Return the first rows of each label, and the others."""
    first: list[Row] = []
    others: list[Row] = []
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["label"]] = counts.get(row["label"], 0) + 1
        (first if counts[row["label"]] <= n else others).append(row)
    return first, others


def _drawn(rows: Sequence[Row], n: int, rng: np.random.Generator) -> list[Row]:
    return [rows[i] for i in rng.permutation(len(rows))[:n]]


def _read(path: Path) -> list[Row]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [{k: r[k] for k in ("text", "label")} for r in map(json.loads, lines)]
