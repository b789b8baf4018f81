"""Clusters of near-duplicate texts: MinHash signatures, banding, and a check of every pair.

MinHash (Broder 1997) over character shingles through the library ``rensa``; locality-sensitive
hashing by bands (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, section 3.4) proposes
pairs, and the true Jaccard similarity of their shingles decides, so nothing below the threshold is
ever merged by chance. Memory: 8 bytes a band and row (168 for the defaults), and the texts once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline_steps.data_params import NearDuplicateParams

Array = np.ndarray[Any, Any]
_CHUNK_ROWS = 20_000
_RECALL = 0.995
_BASE = np.uint64(0x9E3779B97F4A7C15)
_SEED = 1


@dataclass(frozen=True)
class Clusters:
    """The cluster of each row, named by the smallest row number in it, and what it cost."""

    of_row: Array  # (n,) int64
    n_candidates: int
    n_pairs: int


def find_clusters(texts: pa.ChunkedArray, params: NearDuplicateParams) -> Clusters:
    """Return the clusters of texts whose shingles overlap by at least ``params.threshold``.

    Similarity is transitive here: two rows share a cluster if a chain of near duplicates joins
    them.

    Parameters
    ----------
    texts : ChunkedArray of str
        One text a row, no nulls.
    params : NearDuplicateParams
        Threshold on the Jaccard similarity, shingle length, signature length.
    """
    n = len(texts)
    parents = np.arange(n, dtype=np.int64)
    if not params.enabled or n < 2:  # noqa: PLR2004 - one row has no duplicate
        return Clusters(parents, 0, 0)
    bands = _band_hashes(texts, params)
    n_candidates = n_pairs = 0
    for band in bands:
        for left, right in _candidates(band):
            if _root(parents, left) == _root(parents, right):
                continue
            n_candidates += 1
            if _similar(texts, left, right, params):
                n_pairs += 1
                _union(parents, left, right)
    return Clusters(_roots(parents), n_candidates, n_pairs)


def bands_and_rows(params: NearDuplicateParams) -> tuple[int, int]:
    """Return how many bands of how many signature rows: the longest that keep the recall.

    A pair at the threshold t is proposed with probability 1 - (1 - t^rows)^bands >= 0.995.
    """
    for rows in range(params.permutations, 1, -1):
        bands = params.permutations // rows
        if 1.0 - (1.0 - params.threshold**rows) ** bands >= _RECALL:
            return bands, rows
    return params.permutations, 1


def jaccard(left: str, right: str, length: int) -> float:
    """Return the Jaccard similarity of two texts' shingles.

    Examples
    --------
    >>> jaccard("Hello  World", "hello world", 5)
    1.0
    """
    a, b = shingles(left, length), shingles(right, length)
    return len(a & b) / len(a | b)


def shingles(text: str, length: int) -> set[str]:
    """Return the character n-grams of a text, case folded and with single spaces."""
    normal = normalized(text)
    return {normal[i : i + length] for i in range(max(1, len(normal) - length + 1))}


def normalized(text: str) -> str:
    """Return the text case folded, with single spaces: what similarity looks at."""
    return " ".join(text.casefold().split())


def _band_hashes(texts: pa.ChunkedArray, params: NearDuplicateParams) -> Array:
    """Return one hash for each band and row, (n_bands, n) uint64."""
    from rensa import RMinHash

    n_bands, n_rows = bands_and_rows(params)
    hashes = np.empty((n_bands, len(texts)), dtype=np.uint64)
    for start in range(0, len(texts), _CHUNK_ROWS):
        chunk = [normalized(text) for text in texts.slice(start, _CHUNK_ROWS).to_pylist()]
        tokens, offsets = _shingle_hashes(chunk, params.shingle_characters)
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(
            tokens, offsets, params.permutations, _SEED
        )
        signatures = np.array(matrix.to_rows(), dtype=np.uint64)  # (n_chunk, permutations)
        for band in range(n_bands):
            part = signatures[:, band * n_rows : (band + 1) * n_rows]
            hashes[band, start : start + len(chunk)] = _mix(part)
    return hashes


def _shingle_hashes(texts: list[str], length: int) -> tuple[Array, Array]:
    """Return the hashes of all texts' shingles, flat, and where each text's begin (n + 1,)."""
    padded = [text if len(text) >= length else text.ljust(length, "\0") for text in texts]
    sizes = np.array([len(text) for text in padded], dtype=np.int64)
    points = np.frombuffer("".join(padded).encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    rolling = np.zeros(len(points) - length + 1, dtype=np.uint64)
    for position in range(length):
        rolling = rolling * _BASE + points[position : len(points) - length + 1 + position]
    counts = sizes - length + 1
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    tokens = rolling[np.repeat(starts, counts) + within]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.uint64)
    return tokens ^ (tokens >> np.uint64(29)), offsets


def _mix(columns: Array) -> Array:
    """Return one 64-bit hash of each row of a matrix."""
    mixed = np.zeros(len(columns), dtype=np.uint64)
    for column in columns.T:
        mixed = (mixed ^ column) * _BASE
        mixed ^= mixed >> np.uint64(32)
    return mixed


def _candidates(band: Array) -> Iterator[tuple[int, int]]:
    """Yield pairs of rows that share a band's hash: each with the first and with its neighbour."""
    order = np.argsort(band, kind="stable")
    same = band[order[1:]] == band[order[:-1]]
    first = -1
    for position in np.flatnonzero(same).tolist():
        if position == 0 or not same[position - 1]:
            first = int(order[position])
        left, right = int(order[position]), int(order[position + 1])
        yield first, right
        if left != first:
            yield left, right


def _similar(texts: pa.ChunkedArray, left: int, right: int, params: NearDuplicateParams) -> bool:
    similarity = jaccard(texts[left].as_py(), texts[right].as_py(), params.shingle_characters)
    return similarity >= params.threshold


def _root(parents: Array, row: int) -> int:
    while parents[row] != row:
        parents[row] = parents[parents[row]]
        row = int(parents[row])
    return row


def _union(parents: Array, left: int, right: int) -> None:
    """Join two clusters; the smaller row number names the result."""
    a, b = _root(parents, left), _root(parents, right)
    parents[max(a, b)] = min(a, b)


def _roots(parents: Array) -> Array:
    """Return the root of every row: parents are never larger, so following them ends there."""
    roots = parents
    while not np.array_equal(roots, roots[roots]):
        roots = roots[roots]
    return roots
