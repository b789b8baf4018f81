"""A test row that says something else, so that the right answer is known all the same."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline_steps.data_params import RewrittenParams
from pipeline_steps.problems.distracted import gaps_between_sentences, with_sentence
from pipeline_steps.problems.distracting_sentences import distractors
from pipeline_steps.problems.entity_swap import Pool, Words, entity_pool, with_other_entities
from pipeline_steps.problems.question_answering import answers

Row = dict[str, Any]
_TRIES = 20
_BATCH_ROWS = 10_000


def rewriter(
    suite: RewrittenParams, seed: int, targets: Iterable[str | None]
) -> Callable[[Row], Row]:
    """Return what rewrites the rows of a suite; what it makes of a row depends on no other row.

    Parameters
    ----------
    suite : RewrittenParams
        Kind and rate. A rate of 0 leaves every row as it is, and a lower one rewrites a part of
        what a higher one does, in the same way.
    seed : int
        Same seed, same rows.
    targets : iterable of str or None
        Of the rows that other entities are taken from.

    References
    ----------
    Jia and Liang (2017), "Adversarial examples for evaluating reading comprehension systems";
    Wang and Bansal (2018), "Robust machine comprehension models via adversarial training": the
    sentence stands anywhere. Agarwal et al. (2020), "Entity-switched datasets: an approach to
    auditing the in-domain robustness of named entity recognition models".
    """
    if suite.kind == "distractor":
        return lambda row: _distracted(row, suite.rate, seed)
    pool = entity_pool(targets)
    return lambda row: _swapped(row, pool, suite.rate, seed)


def targets_of(path: Path) -> Iterator[str | None]:
    """Yield the target of each row of an examples file."""
    for batch in pq.ParquetFile(path).iter_batches(batch_size=_BATCH_ROWS, columns=["target"]):
        yield from batch.column("target").to_pylist()


def _swapped(row: Row, pool: Pool, rate: float, seed: int) -> Row:
    """Return the row with other entities; one that is named twice is the same one twice."""

    def choose(kind: str, said: Words, others: Sequence[Words]) -> Words:
        draw = _generator(seed, "entity_swap", row["example_id"], kind, *said)
        hit, which = draw.random(), draw.random()
        return others[int(which * len(others))] if hit < rate else said

    return with_other_entities(row, pool, choose)


def _distracted(row: Row, rate: float, seed: int) -> Row:
    """Return the row with one more sentence; as it is where every sentence holds an answer."""
    draw = _generator(seed, "distractor", row["example_id"])
    found = answers(row["target"])
    hit, which = draw.random(), draw.random()
    said = [text for text, _ in found]
    sentence = next(distractors(row["text_pair"], said, draw, _TRIES), None)
    if hit >= rate or sentence is None:
        return row
    gaps = gaps_between_sentences(row["text"], found)
    return with_sentence(row, sentence, gaps[int(which * len(gaps))])


def _generator(seed: int, *named: str) -> random.Random:
    key = hashlib.blake2b("\0".join([str(seed), *named]).encode(), digest_size=8).digest()
    return random.Random(int.from_bytes(key, "little"))  # noqa: S311 - no secret
