"""Words of texts: counts by row, vectors without a model, and which words moved."""

from __future__ import annotations

import functools
import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from pipeline_steps.drift_types import MovedWord

Array = np.ndarray[Any, Any]
WIDTH = 96
_BUCKETS = 1 << 13
_SEED = 20_260_101
_WORD = re.compile(r"\w+", re.UNICODE)
_PRIOR = 500.0  # pseudo-rows of the informative prior
_Q = 0.1
_LONGEST = 40


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case."""
    return [word[:_LONGEST] for word in _WORD.findall(text.lower())]


def word_counts(texts: Sequence[str]) -> dict[str, int]:
    """Return how many texts have each word."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(set(words_of(text)))
    return dict(counts)


def word_costs(texts: Sequence[str]) -> Array:
    """Return the inverse document frequency of each bucket of words, (n_buckets,) float32."""
    seen = np.zeros(_BUCKETS)
    for text in texts:
        seen[list({_bucket(word) for word in words_of(text)})] += 1.0
    return np.log((len(texts) + 1.0) / (seen + 1.0)).astype(np.float32) + 1.0


def text_vectors(texts: Sequence[str], costs: Array) -> Array:
    """Return vectors (n, 96) of length 1: hashed words under a frozen random projection.

    They tell apart rows with other words; texts of other words with the same meaning lie apart.
    """
    projection = _projection()
    found = np.zeros((len(texts), WIDTH), dtype=np.float32)
    for row, text in enumerate(texts):
        buckets = [_bucket(word) for word in words_of(text)]
        if buckets:
            found[row] = costs[buckets] @ projection[buckets]
    norms = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.maximum(norms, 1e-9))


def moved_words(
    before: Mapping[str, int], n_before: int, texts: Sequence[str], most: int = 25
) -> tuple[MovedWord, ...]:
    """Return the words whose share of rows moved beyond chance, the surest first.

    Log-odds with an informative Dirichlet prior (Monroe, Colaresi and Quinn 2008, "Fightin'
    words"), Benjamini-Hochberg at q = 0.1 over all words seen. Repeats must be out of the texts.
    """
    now, n_now = word_counts(texts), len(texts)
    if not n_now or not n_before:
        return ()
    words = sorted({*before, *now})
    a = np.array([before.get(word, 0) for word in words], dtype=np.float64)
    b = np.array([now.get(word, 0) for word in words], dtype=np.float64)
    z = log_odds_z(a, n_before, b, n_now)
    kept = benjamini_hochberg(2.0 * stats.norm.sf(np.abs(z)), _Q)
    order = [i for i in np.argsort(-np.abs(z), kind="stable") if kept[i]][:most]
    return tuple(
        MovedWord(
            word=words[i],
            reference_share=a[i] / n_before,
            current_share=b[i] / n_now,
            z=round(float(z[i]), 3),
        )
        for i in order
    )


def log_odds_z(a: Array, n_a: int, b: Array, n_b: int) -> Array:
    """Return z of the change of log-odds from counts ``a`` of ``n_a`` rows to ``b`` of ``n_b``."""
    prior = np.maximum((a + b) / (n_a + n_b) * _PRIOR, 0.01)
    yes_a, no_a = a + prior, n_a - a + _PRIOR
    yes_b, no_b = b + prior, n_b - b + _PRIOR
    change = np.log(yes_b / no_b) - np.log(yes_a / no_a)
    return np.asarray(change / np.sqrt(1.0 / yes_a + 1.0 / yes_b))


def benjamini_hochberg(p: Array, q: float) -> Array:
    """Return which p-values are rejected, (n,) bool, at a false discovery rate (1995)."""
    order = np.argsort(p)
    under = p[order] <= q * np.arange(1, len(p) + 1) / max(len(p), 1)
    kept = np.zeros(len(p), dtype=bool)
    if under.any():
        kept[order[: np.flatnonzero(under)[-1] + 1]] = True
    return kept


@functools.cache
def _projection() -> Array:
    """Return the frozen directions of the buckets, (n_buckets, 96)."""
    return np.random.default_rng(_SEED).standard_normal((_BUCKETS, WIDTH)).astype(np.float32)


def _bucket(word: str) -> int:
    return zlib.crc32(word.encode("utf-8", "replace")) % _BUCKETS
