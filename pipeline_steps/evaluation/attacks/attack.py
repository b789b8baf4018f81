"""One recipe against one victim on the rows of a dataset."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline_steps.attack_types import AttackResult
from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.attacks.constraints import changed_words
from pipeline_steps.evaluation.attacks.goals import Answer
from pipeline_steps.evaluation.attacks.oracle import Oracle, Tally
from pipeline_steps.evaluation.attacks.passage import Offer, Passage, Row
from pipeline_steps.evaluation.attacks.pool import Attacked, Limits, Pool, Service
from pipeline_steps.evaluation.attacks.search import Search


@dataclass(frozen=True)
class Outcome:
    """What became of the rows, in their order, and what it cost.

    ``last`` are the victim's answers to the most harmful texts: a model's predictions under this
    attack, which metrics and comparisons read like any others.
    """

    results: tuple[AttackResult, ...]
    last: tuple[Answer, ...]
    tally: Tally
    cpu_seconds: float
    wall_seconds: float


def attack_rows(
    rows: Sequence[Row],
    problem: Offer,
    oracle: Oracle,
    search: Search,
    *,
    seed: int,
    limits: Limits | None = None,
    services: Mapping[str, Service] | None = None,
) -> Outcome:
    """Return what an attack makes of rows; the same seed gives the same, however it is batched."""
    wall, cpu = time.perf_counter(), time.process_time()
    passages = [Passage.of(row, problem) for row in rows]
    found = Pool(oracle, search, services).attack(passages, seed=seed, limits=limits)
    by_id = {attacked.passage.example_id: attacked for attacked in found}
    ordered = [by_id[passage.example_id] for passage in passages]
    return Outcome(
        results=tuple(_result(attacked) for attacked in ordered),
        last=tuple(attacked.last for attacked in ordered),
        tally=oracle.tally,
        cpu_seconds=time.process_time() - cpu,
        wall_seconds=time.perf_counter() - wall,
    )


def row_read(row: Row, problem: Offer, result: AttackResult) -> dict[str, Any]:
    """Return the row that a result is about, as the victim read it."""
    edits = dict(zip(result.edited, result.written, strict=True))
    return Passage.of(row, problem).changed(edits)


def drawn_rows(rows: Sequence[Row], n: int, seed: int, *, target: str | None = None) -> list[Row]:
    """Return ``n`` of the rows, in their order; which ones depends on their ids and the seed.

    Rows that truly have the label ``target`` are left out: no attack can bring them to it.

    Raises
    ------
    DataError
        If all have it.
    """
    keys = {
        row["example_id"]: _draw(seed, str(row["example_id"]))
        for row in rows
        if target is None or row["label"] != target
    }
    if rows and not keys:
        raise _all_have(target, len(rows))
    chosen = set(sorted(keys, key=lambda name: keys[name])[:n])
    return [row for row in rows if row["example_id"] in chosen]


def _all_have(target: str | None, n: int) -> DataError:
    return DataError(
        f"attack.target is {target!r}, which all {n} rows have already",
        expected="rows of another label, which an attack can bring to that one",
        fix="set attack.target to another label, or to null",
    )


def others(rows: Sequence[Row], drawn: Sequence[Row], seed: int) -> list[Row]:
    """Return the rows that were not drawn, in an order that depends on their ids and the seed."""
    taken = {row["example_id"] for row in drawn}
    return in_drawn_order([row for row in rows if row["example_id"] not in taken], seed)


def in_drawn_order(rows: Sequence[Row], seed: int) -> list[Row]:
    """Return rows in an order that depends on their ids and the seed alone."""
    return sorted(rows, key=lambda row: _draw(seed, str(row["example_id"])))


def _draw(seed: int, example_id: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{example_id}".encode(), digest_size=8).digest()


def _result(attacked: Attacked) -> AttackResult:
    passage = attacked.passage
    return AttackResult(
        example_id=passage.example_id,
        status=attacked.status,
        original=passage.whole({}),
        perturbed=passage.whole(attacked.edits),
        truth=attacked.clean.truth,
        clean_prediction=attacked.clean.predicted,
        prediction=attacked.last.predicted,
        n_queries=attacked.n_queries,
        n_changed=changed_words(passage, attacked.edits),
        n_words=passage.n_read,
        harm=attacked.harm,
        edited=tuple(sorted(attacked.edits)),
        written=tuple(attacked.edits[word] for word in sorted(attacked.edits)),
        unchangeable=attacked.unchangeable,
    )
