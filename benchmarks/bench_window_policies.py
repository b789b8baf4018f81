"""Which earlier rows a retrain should learn from: each window policy after one drift, on CLINC150.

100 intents are known, 20 come that the champion never saw: three in ten rows of the window. The
earlier rows are dated over two years. Two worlds: in `new intents` their age says nothing; in
`changed labels` ten more intents pass their label on in a ring a year before the window, so that
the older rows of them are labelled wrongly by today's meaning; window and test have today's.

Draws and held-back rows are the product's own (`retrain.rows`, `retrain.held_back`). To be
affordable the model is a logistic regression on frozen MiniLM embeddings, made anew on the rows
that the policy keeps and the half of the window that is learnt from: it says which rows are worth
learning from, not how a fine-tuning takes them. Each seed draws intents, rows and dates anew.

    python benchmarks/bench_window_policies.py DATA WORK [--seeds 10]
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from drift_data import Array, Rows, joined, load
from records import record, write_records

from pipeline_steps.data_preparation.earlier_rows import keep_earlier
from pipeline_steps.data_preparation.held_back import held_back_rows
from pipeline_steps.retrain_params import RetrainParams, RowsParams

WORLDS = ("new intents", "changed labels")
N_KNOWN, N_UNSEEN, N_CHANGED = 100, 20, 10
OF_LABEL, N_WINDOW, UNSEEN_SHARE = 40, 400, 0.3
DAYS, CHANGED_BEFORE = 730, 365
NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICIES = {
    "no retrain": None,
    "all": RowsParams(),
    "sliding, 365 days": RowsParams(policy="sliding", days=365),
    "sliding, 90 days": RowsParams(policy="sliding", days=90),
    "recency, half": RowsParams(policy="recency", keep=0.5),
    "recency, a quarter": RowsParams(policy="recency", keep=0.25),
    "similarity, half": RowsParams(policy="similarity", keep=0.5),
    "similarity, a quarter": RowsParams(policy="similarity", keep=0.25),
}


@dataclass(frozen=True)
class Dated:
    """Rows with their ages in days, and their labels as they were given then."""

    rows: Rows
    labels: Array
    days: Array

    def table(self, name: str) -> pa.Table:
        """Return the rows as examples."""
        n = len(self.rows)
        times = [NOW - timedelta(days=float(day)) for day in self.days]
        columns = {
            "example_id": [f"{name}-{i}" for i in range(n)],
            "text": list(self.rows.texts),
            "text_pair": [None] * n,
            "label": list(self.labels),
            "timestamp": pa.array([time.replace(tzinfo=None) for time in times]),
        }
        return pa.table(columns)


@dataclass(frozen=True)
class World:
    """What was learnt from, the window that drifted in two halves, and the earlier test rows."""

    earlier: Dated
    learnt: Dated
    held: Dated
    test: Dated


def make_world(parts: dict[str, Rows], world: str, seed: int) -> World:
    """Return a world; the same seed draws the same rows in both."""
    rng = np.random.default_rng(seed)
    names = rng.permutation(sorted(set(parts["train"].labels)))
    known, unseen = names[:N_KNOWN], names[N_KNOWN : N_KNOWN + N_UNSEEN]
    ring = dict(zip(known[:N_CHANGED], np.roll(known[:N_CHANGED], 1), strict=True))
    pool = joined([parts["train"], parts["valid"]])
    first, rest = _first_of_each(pool, known, rng)
    n_new = round(N_WINDOW * UNSEEN_SHARE)
    new = _some(np.flatnonzero(np.isin(pool.labels, unseen)), n_new, rng)
    window = pool.take(np.concatenate([_some(rest, N_WINDOW - n_new, rng), new]))
    ages = rng.uniform(0, DAYS, len(first))
    earlier = _named(pool.take(first), ages, ring, CHANGED_BEFORE, world)
    dated = _named(window, np.zeros(len(window)), ring, CHANGED_BEFORE, world)
    of_known = np.flatnonzero(np.isin(parts["test"].labels, known))
    test = parts["test"].take(of_known)
    held = np.array(_held(dated))
    return World(
        earlier,
        _taken(dated, ~held),
        _taken(dated, held),
        _named(test, np.zeros(len(test)), ring, CHANGED_BEFORE, world),
    )


def _first_of_each(pool: Rows, known: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return places of 40 rows of each known intent, and of the others."""
    first, rest = [], []
    for name in known:
        places = rng.permutation(np.flatnonzero(pool.labels == name))
        first.append(places[:OF_LABEL])
        rest.append(places[OF_LABEL:])
    return np.concatenate(first), np.concatenate(rest)


def _some(places: Array, n: int, rng: np.random.Generator) -> Array:
    return np.asarray(rng.permutation(places)[:n])


def _named(rows: Rows, days: Array, ring: dict[str, str], changed: float, world: str) -> Dated:
    """Return rows as they were labelled: newer ones of the ring by its next name."""
    labels = rows.labels
    if world == WORLDS[1]:
        moved = [
            ring.get(name, name) if day < changed else name
            for name, day in zip(labels, days, strict=True)
        ]
        labels = np.array(moved, dtype=object)
    return Dated(rows, labels, days)


def _held(window: Dated) -> list[bool]:
    ids = [f"window-{i}" for i in range(len(window.rows))]
    share = RetrainParams().held_back
    return held_back_rows(ids, list(window.labels), share, groups=list(window.rows.texts))


def _taken(dated: Dated, chosen: Array) -> Dated:
    places = np.flatnonzero(chosen)
    return Dated(dated.rows.take(places), dated.labels[places], dated.days[places])


def played(world: World, policy: RowsParams | None) -> dict[str, float]:
    """Return the accuracies after one retrain by a policy, and how many earlier rows it took."""
    earlier, learnt = world.earlier, world.learnt
    vectors, labels, n = earlier.rows.vectors, earlier.labels, len(earlier.rows)
    if policy is not None:
        table = earlier.table("earlier")
        kept = keep_earlier(table, learnt.table("window"), policy)["example_id"].to_pylist()
        places = [int(name.rpartition("-")[2]) for name in kept]
        n = len(places)
        vectors = np.concatenate([vectors[places], learnt.rows.vectors])
        labels = np.concatenate([labels[places], learnt.labels])
    answers = _learnt(vectors, labels)
    return {
        "window": float(np.mean(answers(world.held.rows.vectors) == world.held.labels)),
        "test": float(np.mean(answers(world.test.rows.vectors) == world.test.labels)),
        "earlier rows": float(n),
    }


def _learnt(vectors: Array, labels: Array) -> Any:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=30.0, max_iter=300, tol=1e-3)
    return model.fit(vectors, labels.astype(str)).predict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path, help="embeddings are kept here")
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    parts = load(options.data, "clinc150", options.work)
    records = []
    for name in WORLDS:
        worlds = [make_world(parts, name, seed) for seed in range(options.seeds)]
        print(f"\n| {name} | window, held back | earlier test | earlier rows |\n|---|---|---|---|")
        for policy, params in POLICIES.items():
            found = [played(world, params) for world in worlds]
            print(_line(policy, found), flush=True)
            records += _records(f"{name}: {policy}", found, worlds)
    print(write_records("window_policies", records))


def _line(policy: str, found: list[dict[str, float]]) -> str:
    cells = []
    for what in ("window", "test"):
        values = [one[what] for one in found]
        cells.append(f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")
    n = np.mean([one["earlier rows"] for one in found])
    return f"| {policy} | {' | '.join(cells)} | {n:,.0f} |"


def _records(name: str, found: list[dict[str, float]], worlds: list[World]) -> list[dict[str, Any]]:
    answered = {
        "window": sum(len(world.held.rows) for world in worlds),
        "test": sum(len(world.test.rows) for world in worlds),
    }
    return [
        record(f"{name}: {what}", float(np.mean([one[what] for one in found])), "accuracy", n=n)
        for what, n in answered.items()
    ]


if __name__ == "__main__":
    main()
