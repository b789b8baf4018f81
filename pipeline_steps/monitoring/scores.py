"""Frozen scores of rows: what a detector compares, each fixed before the traffic is seen.

A score may be anything that depends on one row and on what was frozen; larger means stranger. What
it is fitted on must not be among the rows of the reference, or these look more usual than traffic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
N_BUCKETS = 1 << 15
_NEIGHBOURS = 5
_CHUNK = 2_048
_FACTOR = np.uint64(1_000_003)
SCORES = ("uncertainty", "entropy", "surprise", "length", "label", "answer_length", "distance")
"""Every score by name; which of them a set of rows has depends on what is known of the rows."""


@dataclass(frozen=True)
class ScoredRows:
    """What is known of rows that a model has answered, in one order."""

    texts: Sequence[str]
    predicted: Sequence[str]
    confidence: Array  # (n,) 0 to 1; NaN where the model gives none
    probabilities: Array | None = None  # (n, n_labels)
    vectors: Array | None = None  # (n, width), embeddings of length 1

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Frozen:
    """What the scores were fitted on: counts of trigrams, an order of answers, embeddings."""

    trigram_cost: Array  # (N_BUCKETS,) float32: nats of a trigram
    answers: tuple[str, ...]  # labels, the most frequent first; empty where answers are texts
    neighbours: Array | None = None  # (m, width) float32

    def names(self) -> tuple[str, ...]:
        """Return the scores that can be computed, in the order of the columns."""
        unknown = set() if self.neighbours is not None else {"distance"}
        unknown |= {"answer_length"} if self.answers else {"label"}
        return tuple(name for name in SCORES if name not in unknown)


def freeze(
    texts: Sequence[str], labels: Sequence[str] | None, vectors: Array | None = None
) -> Frozen:
    """Return what scores are computed from, fitted on rows that will not be in a reference.

    Parameters
    ----------
    texts : sequence of str
        Such as those that the model was trained on.
    labels : sequence of str or None
        Their answers where these are labels; ``None`` where they are written texts or spans.
    vectors : ndarray (n, width), optional
        Their embeddings.
    """
    counts = np.bincount(trigrams(texts)[0], minlength=N_BUCKETS).astype(np.float64)
    share = (counts + 0.5) / (counts.sum() + 0.5 * N_BUCKETS)
    order: tuple[str, ...] = ()
    if labels is not None and len(labels):
        names, found = np.unique(np.asarray(labels, dtype=str), return_counts=True)
        order = tuple(names[np.lexsort((names, -found))].tolist())
    kept = None
    if vectors is not None:
        found_vectors = np.asarray(vectors, dtype=np.float32)
        kept = found_vectors[~np.isnan(found_vectors).any(axis=1)]
    return Frozen((-np.log(share)).astype(np.float32), order, kept)


def score_rows(rows: ScoredRows, frozen: Frozen) -> Array:
    """Return the scores (n_rows, n_scores), columns as ``frozen.names()``.

    NaN where a row has no such score: an empty text has no surprise, an answer without
    probabilities no entropy. A detector leaves these out and says so.
    """
    columns: dict[str, Callable[[], Array]] = {
        "uncertainty": lambda: 1.0 - np.asarray(rows.confidence, dtype=np.float64),
        "entropy": lambda: entropy(rows.probabilities, len(rows)),
        "surprise": lambda: surprise(rows.texts, frozen.trigram_cost),
        "length": lambda: lengths(rows.texts),
        "label": lambda: label_places(rows.predicted, frozen.answers),
        "answer_length": lambda: lengths(rows.predicted),
        "distance": lambda: distances(rows.vectors, frozen.neighbours, len(rows)),
    }
    found = [columns[name]() for name in frozen.names()]
    return np.column_stack(found) if len(rows) else np.empty((0, len(found)))


def entropy(probabilities: Array | None, n: int) -> Array:
    """Return the entropy of each row's probabilities in nats, (n,); NaN where there are none."""
    if probabilities is None or not n:
        return np.full(n, np.nan)
    p = np.asarray(probabilities, dtype=np.float64)
    return np.asarray(-(p * np.log(np.clip(p, 1e-12, None))).sum(axis=1))


def surprise(texts: Sequence[str], cost: Array) -> Array:
    """Return the mean cost of each text's trigrams in nats, (n,); NaN for an empty text."""
    buckets, owners = trigrams(texts)
    total = np.bincount(owners, weights=cost[buckets], minlength=len(texts))
    count = np.bincount(owners, minlength=len(texts))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def lengths(texts: Sequence[str]) -> Array:
    """Return the logarithm of one more than each text's characters, (n,): 0 for an empty text."""
    return np.log1p(np.array([len(text.strip()) for text in texts], dtype=np.float64))


def label_places(predicted: Sequence[str], answers: tuple[str, ...]) -> Array:
    """Return the place of each predicted label in the frozen order, (n,); unknown ones are last."""
    places = {label: float(place) for place, label in enumerate(answers)}
    return np.array([places.get(label, float(len(answers))) for label in predicted])


def distances(vectors: Array | None, neighbours: Array | None, n: int) -> Array:
    """Return one minus the mean cosine with the five nearest frozen embeddings, (n,)."""
    if vectors is None or neighbours is None or not n:
        return np.full(n, np.nan)
    k = min(_NEIGHBOURS, len(neighbours))
    found = []
    for start in range(0, n, _CHUNK):
        cosines = vectors[start : start + _CHUNK].astype(np.float32) @ neighbours.T
        nearest = np.partition(cosines, -k, axis=1)[:, -k:]
        found.append(1.0 - nearest.mean(axis=1))
    return np.concatenate(found).astype(np.float64)


def trigrams(texts: Sequence[str]) -> tuple[Array, Array]:
    """Return the buckets of all trigrams of characters, and which text each belongs to.

    Texts are folded in case and white space and get a space at both ends.
    """
    padded = [f" {' '.join(text.lower().split())} " for text in texts]
    sizes = np.fromiter(map(len, padded), np.int64, len(padded))
    code = np.frombuffer("".join(padded).encode("utf-32-le", "replace"), dtype=np.uint32)
    code = code.astype(np.uint64)
    hashes = (code[:-2] * _FACTOR + code[1:-1]) * _FACTOR + code[2:]
    owners = np.repeat(np.arange(len(texts)), sizes)
    inside = owners[:-2] == owners[2:]  # an empty text is two spaces, and no text is shorter
    mixed = hashes[inside] * np.uint64(0x9E3779B97F4A7C15)
    return (mixed >> np.uint64(49)).astype(np.int64), owners[:-2][inside]
