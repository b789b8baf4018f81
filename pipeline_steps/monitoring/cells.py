"""Cells of like rows: where a window has more or fewer rows than the reference, and new ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from pipeline_steps.drift_types import MovedCluster
from pipeline_steps.monitoring.words import benjamini_hochberg, words_of

Array = np.ndarray[Any, Any]
_ROUNDS = 12
_ROWS_A_CELL = 20
_MOST_CELLS = 50
_FAR = 0.99
_Q = 0.1
_EXAMPLES = 3
_NAMING_WORDS = 3
NEW = "unlike any reference row"


@dataclass(frozen=True)
class Cells:
    """Frozen cells of a reference: centres of length 1, rows in each, how far off is new."""

    centres: Array  # (n_cells, width) float32
    counts: Array  # (n_cells + 1,) rows of the reference; the last cell holds new ones
    names: tuple[str, ...]  # n_cells + 1
    reach: float  # cosine below which a row is new
    risks: Array  # (n_cells + 1,) mean loss of the reference; NaN in an empty cell


def fit_cells(
    vectors: Array, texts: Sequence[str], losses: Array, rng: np.random.Generator
) -> Cells:
    """Return k-means cells of rows (MacQueen 1967), by the cosine."""
    n_cells = int(np.clip(len(vectors) // _ROWS_A_CELL, 1, _MOST_CELLS))
    centres = vectors[rng.permutation(len(vectors))[:n_cells]].astype(np.float32)
    for _ in range(_ROUNDS):
        nearest = (vectors @ centres.T).argmax(axis=1)
        for cell in range(n_cells):
            if (nearest == cell).any():
                centres[cell] = vectors[nearest == cell].mean(axis=0)
        centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-9)
    cosines = vectors @ centres.T
    reach = float(np.quantile(cosines.max(axis=1), 1.0 - _FAR))
    where = np.where(cosines.max(axis=1) < reach, n_cells, cosines.argmax(axis=1))
    names = [_name(texts, where == cell) for cell in range(n_cells)]
    return Cells(
        centres,
        np.bincount(where, minlength=n_cells + 1),
        (*names, NEW),
        reach,
        mean_losses(where, losses, n_cells + 1),
    )


def cell_of(cells: Cells, vectors: Array) -> Array:
    """Return the cell of each row, (n,); the last for a row unlike any."""
    if not len(vectors):
        return np.empty(0, dtype=np.int64)
    cosines = vectors @ cells.centres.T
    return np.where(cosines.max(axis=1) < cells.reach, len(cells.centres), cosines.argmax(axis=1))


def moved_cells(
    cells: Cells, where: Array, vectors: Array, texts: Sequence[str], most: int = 10
) -> tuple[MovedCluster, ...]:
    """Return the cells with the largest change of share, each with its most typical new rows.

    Fisher's exact test of each cell, Benjamini-Hochberg over all cells.
    """
    n, before = len(where), int(cells.counts.sum())
    if not n or not before:
        return ()
    now = np.bincount(where, minlength=len(cells.names))
    p = np.array([
        stats.fisher_exact([[b, before - b], [c, n - c]]).pvalue
        for b, c in zip(cells.counts.tolist(), now.tolist(), strict=True)
    ])  # fmt: skip
    moved = benjamini_hochberg(p, _Q)
    change = np.abs(now / n - cells.counts / before)
    return tuple(
        MovedCluster(
            name=cells.names[cell],
            reference_share=float(cells.counts[cell] / before),
            current_share=float(now[cell] / n),
            p_value=float(p[cell]),
            moved=bool(moved[cell]),
            examples=_typical(where == cell, vectors, texts),
        )
        for cell in np.lexsort((-change, ~moved))[:most]
    )


def risk_split(cells: Cells, where: Array, losses: Array) -> tuple[float, float]:
    """Return how much of the change of the risk is the mix of cells, and how much lies within.

    ``sum (q - p) r + sum q (r' - r)`` over cells with shares p, q and risks r, r' (Kitagawa 1955).
    A cell that the reference has no rows in is taken at the reference's mean risk.
    """
    p = cells.counts / cells.counts.sum()
    mean = float(np.nansum(p * cells.risks))
    risks = np.where(np.isnan(cells.risks), mean, cells.risks)
    q = np.bincount(where, minlength=len(p)) / len(where)
    now = mean_losses(where, losses, len(p))
    within = np.where(q > 0, q * (np.nan_to_num(now) - risks), 0.0)
    return float(((q - p) * risks).sum()), float(within.sum())


def mean_losses(where: Array, losses: Array, n_cells: int) -> Array:
    """Return the mean loss of each cell, (n_cells,); NaN where it has no rows."""
    counts = np.bincount(where, minlength=n_cells)
    sums = np.bincount(where, weights=losses, minlength=n_cells)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _name(texts: Sequence[str], members: Array) -> str:
    """Return the words that most rows of a cell share, the rest of the texts less so."""
    inside: Counter[str] = Counter()
    everywhere: Counter[str] = Counter()
    for text, member in zip(texts, members.tolist(), strict=True):
        found = set(words_of(text))
        everywhere.update(found)
        if member:
            inside.update(found)
    ranked = sorted(inside, key=lambda w: (-(inside[w] ** 2) / (everywhere[w] + 5.0), w))
    return " ".join(ranked[:_NAMING_WORDS]) or "(no words)"


def _typical(members: Array, vectors: Array, texts: Sequence[str]) -> tuple[str, ...]:
    places = np.flatnonzero(members)
    if not len(places):
        return ()
    nearness = vectors[places] @ vectors[places].mean(axis=0)
    return tuple(texts[places[i]] for i in np.argsort(-nearness, kind="stable")[:_EXAMPLES])
