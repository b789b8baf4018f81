"""Fair bets on p-values: each has mean one where they are uniform, and grows where they are not.

Some are fixed: on a slope, and on either tail, where rows of an unseen kind lie. Others learn where
the p-values lie now, each from the rows before the one that it bets on. What a frozen bag may be
off by chance is charged for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import signal, stats

Array = np.ndarray[Any, Any]
N_BINS = 16
_FORGETTING = 0.995  # of a row: the histogram remembers some 200 rows
_SLOPES = (-0.9, -0.5, -0.2, 0.2, 0.5, 0.9)
_LOWER = ((8, 0.1), (8, 0.4), (32, 0.05), (32, 0.25))  # exponent, weight
_UPPER = (*_LOWER, (16, 0.1), (16, 0.3), (64, 0.1), (128, 0.05))
_HISTOGRAMS = (0.15, 0.5)  # weights of the learnt density
N_FIXED = len(_SLOPES) + len(_LOWER) + len(_UPPER)
N_BETS = N_FIXED + len(_HISTOGRAMS)
LARGEST = 1e250
_SURE = 0.999
_WORTH_OF_SCORES = {"uncertainty": 6.0, "entropy": 4.0, "distance": 3.0, "length": 0.5}
_BLOCK = 64  # rows: the product of so many bets neither overflows nor vanishes


def bet_shares() -> Array:
    """Return which share of a score's stake each bet has, (N_BETS,): they sum to one.

    Shares that are fixed beforehand keep a mean of bets fair, and a bet with a share ``s`` costs
    ``log(1 / s)`` of evidence at the most. Rows of an unseen kind lie in the upper tail of a score,
    so bets on it, and those that learn, have four times the stake of the others.
    """
    slopes = [2.0 if slope >= 0.5 else 1.0 for slope in _SLOPES]  # noqa: PLR2004
    tails = [1.0] * len(_LOWER) + [4.0] * len(_UPPER)
    worth = np.array([*slopes, *tails, *([4.0] * len(_HISTOGRAMS))])
    return np.asarray(worth / worth.sum())


def score_shares(names: tuple[str, ...]) -> Array:
    """Return which share of all stakes each score has, (K,): more for what follows harm."""
    worth = np.array([_WORTH_OF_SCORES.get(name, 1.0) for name in names])
    return np.asarray(worth / worth.sum())


def fair_bets(p: Array, frozen: Array, histogram: Array) -> tuple[Array, Array]:
    """Return the bets (N_BETS, K, n) on p-values, and the histograms after them.

    Parameters
    ----------
    p : ndarray (K, n)
        NaN where a score is missing: nothing is bet on it, and nothing is learnt from it.
    frozen : ndarray (K, n)
        Rows of the frozen bag that a row was ranked in; 0 for a bag that grows.
    histogram : ndarray (K, N_BINS)
        What the learning bets remember; one row in each bin is never forgotten.
    """
    bets = np.ones((N_BETS, *p.shape))
    after = histogram.copy()
    for k in range(len(p)):
        known = np.flatnonzero(~np.isnan(p[k]))
        learnt, after[k] = _learnt_bets(p[k, known], frozen[k, known], histogram[k])
        bets[:N_FIXED, k, known] = _fixed_bets(p[k, known], frozen[k, known])
        bets[N_FIXED:, k, known] = learnt
    return bets, after


def wagered(wealth: Array, bets: Array) -> Array:
    """Return the Shiryaev-Roberts sums (..., n) after each row: ``R = (R + 1) bet``.

    Parameters
    ----------
    wealth : ndarray (...)
        The sums before the first row.
    bets : ndarray (..., n)
    """
    path = np.empty_like(bets)
    for start in range(0, bets.shape[-1], _BLOCK):
        block = bets[..., start : start + _BLOCK]
        growth = np.cumprod(block, axis=-1)
        fresh = np.ones_like(growth)  # what each row's own unit was divided by before it came
        np.divide(1.0, growth[..., :-1], out=fresh[..., 1:])
        with np.errstate(over="ignore"):  # a sum that is too large is capped below
            sums = growth * (wealth[..., None] + np.cumsum(fresh, axis=-1))
        if sums.max() > LARGEST:
            sums = _one_by_one(wealth, block)
        path[..., start : start + _BLOCK] = sums
        wealth = sums[..., -1]
    return path


def _one_by_one(wealth: Array, bets: Array) -> Array:
    """Return the sums as they are defined, row by row, none above the largest."""
    path = np.empty_like(bets)
    for t in range(bets.shape[-1]):
        wealth = np.minimum((wealth + 1.0) * bets[..., t], LARGEST)
        path[..., t] = wealth
    return path


def _fixed_bets(p: Array, frozen: Array) -> Array:
    """Return the bets (N_FIXED, n) that learn nothing."""
    bets = np.empty((N_FIXED, len(p)))
    for j, slope in enumerate(_SLOPES):
        bets[j] = 1.0 + slope * (2.0 * p - 1.0)
    spreads = [abs(slope) / np.sqrt(3.0) for slope in _SLOPES]
    tails = [(1.0 - p, *tail) for tail in _LOWER] + [(p, *tail) for tail in _UPPER]
    for j, (side, exponent, weight) in enumerate(tails, start=len(_SLOPES)):
        bets[j] = 1.0 - weight + weight * exponent * _power(side, exponent - 1)
        variance = exponent**2 / (2.0 * exponent - 1.0) - 1.0
        spreads.append(weight * np.sqrt(variance))
    if frozen.any():
        errors = stats.norm.isf((1.0 - _SURE) / N_FIXED)
        bets /= 1.0 + _standard_error(frozen) * errors * np.array(spreads)[:, None]
    return bets


def _learnt_bets(p: Array, frozen: Array, histogram: Array) -> tuple[Array, Array]:
    """Return the bets (n_learnt, n) on what the rows before showed, and the histogram after."""
    if not len(p):
        return np.empty((len(_HISTOGRAMS), 0)), histogram
    places = np.minimum((p * N_BINS).astype(np.int64), N_BINS - 1)
    found = np.zeros((len(p), N_BINS))
    found[np.arange(len(p)), places] = 1.0
    remembered = _FORGETTING * (histogram - 1.0)
    later, _ = signal.lfilter([1.0], [1.0, -_FORGETTING], found, axis=0, zi=remembered[None])
    counts = np.concatenate([histogram[None], 1.0 + later])
    density = counts[:-1] * (N_BINS / counts[:-1].sum(axis=1, keepdims=True))
    gain = density[np.arange(len(p)), places] - 1.0
    bets = np.array([1.0 + weight * gain for weight in _HISTOGRAMS])
    if frozen.any():
        # No density of so many bins gains more by luck.
        worst = np.sqrt(stats.chi2.isf(1.0 - _SURE, N_BINS - 1))
        charge = density.std(axis=1) * worst * _standard_error(frozen)
        bets /= 1.0 + np.array(_HISTOGRAMS)[:, None] * charge
    return bets, counts[-1]


def _standard_error(frozen: Array) -> Array:
    return np.where(frozen > 0, 1.0 / np.sqrt(np.maximum(frozen, 1)), 0.0)


def _power(base: Array, exponent: int) -> Array:
    """Return whole powers by squaring: NumPy's own take ten times as long."""
    found, square = np.ones_like(base), base
    while exponent:
        if exponent & 1:
            found = found * square
        square = square * square
        exponent >>= 1
    return found
