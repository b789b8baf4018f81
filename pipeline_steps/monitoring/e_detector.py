"""Stage 1: is the traffic still exchangeable with the reference? No labels, a stated budget.

Each score of a row becomes a conformal p-value: its smoothed rank among the reference and the rows
since. Under exchangeability these are independent and uniform (Vovk, Gammerman and Shafer 2005), so
bets on them are fair. A mean of Shiryaev-Roberts sums of fair bets, by shares that are fixed
beforehand, reaches ``A`` after ``A`` rows on average at the earliest, whatever the dependence of
scores: ``P(alarm in n rows) <= n / A`` (Vovk 2021, "Testing randomness online"; Shin, Ramdas and
Rinaldo 2022, "E-detectors").
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline_steps.monitoring.bets import (
    N_BETS,
    N_BINS,
    bet_shares,
    fair_bets,
    score_shares,
    wagered,
)

Array = np.ndarray[Any, Any]
_BLOCK = 128
_MOST_STRATA, OTHERS = 200, "(others)"
"""Strata that have a bag of their own, as far as no reference has more, and the bag of the rest."""
_TIMES, _LEAST_BAG = 4, 2_000
"""Caps that all bags hold together, and rows of a bag that this leaves to each."""
LEAST_ROWS = 100
"""Rows of a reference; with fewer nothing is tested."""


@dataclass
class Bag:
    """Scores seen so far in one stratum, one sorted array a score; it grows up to a cap."""

    columns: list[Array]
    cap: int

    def p_values(self, scores: Array, uniforms: Array) -> tuple[Array, Array]:
        """Return smoothed conformal p-values (n, K) and the size of the frozen bags they rank in.

        A strange row has a large p here: the share of the bag that is *less* strange. Scores that
        are missing (NaN) get NaN and are not added; the detector does not bet on them. The size is
        0 for a bag that still grows.
        """
        p = np.full(scores.shape, np.nan)
        frozen = np.zeros(scores.shape, dtype=np.int64)
        for k in range(scores.shape[1]):
            places = np.flatnonzero(~np.isnan(scores[:, k]))
            known, u = scores[places, k], uniforms[places, k]
            room = max(self.cap - len(self.columns[k]), 0)
            p[places[:room], k] = self._growing(k, known[:room], u[:room])
            bag = self.columns[k]
            p[places[room:], k] = _smoothed(*_counts(bag, known[room:]), u[room:], len(bag))
            frozen[places[room:], k] = len(bag)
        return p, frozen

    def _growing(self, k: int, values: Array, u: Array) -> Array:
        """Return p-values of rows, each ranked among the bag and the rows before it."""
        p = np.empty(len(values))
        for start in range(0, len(values), _BLOCK):
            block, bag = values[start : start + _BLOCK], self.columns[k]
            below, equal = _counts(bag, block)
            n = len(block)
            earlier = np.tri(n, k=-1, dtype=bool)
            ordered = np.sort(block)
            below += ((block[None, :] < block[:, None]) & earlier).sum(axis=1)
            if (ordered[1:] == ordered[:-1]).any():
                equal += ((block[None, :] == block[:, None]) & earlier).sum(axis=1)
            size = len(bag) + np.arange(n)
            p[start : start + n] = _smoothed(below, equal, u[start : start + n], size)
            self.columns[k] = np.sort(np.concatenate([bag, ordered]), kind="stable")
        return p


def _counts(bag: Array, values: Array) -> tuple[Array, Array]:
    """Return how many of a sorted bag are below each value, and how many equal it."""
    below = bag.searchsorted(values, "left")
    return below, bag.searchsorted(values, "right") - below


def _smoothed(below: Array, equal: Array, u: Array, size: Any) -> Array:
    return np.asarray((below + u * (1.0 + equal)) / (size + 1.0))


@dataclass
class EDetector:
    """The detector's whole state: bags by stratum, wealth of each bet, learnt densities.

    Parameters
    ----------
    names : tuple of str
        Scores that are compared, one a column.
    threshold : float
        ``A``: expected rows to a false alarm, at the least.
    cap : int
        Rows of a bag; more than four bags share the room of four, so that the state stays small
        however many strata there are. A full bag is frozen, and bets are charged for its own chance
        deviation.
    """

    names: tuple[str, ...]
    threshold: float
    cap: int = 100_000
    bags: dict[str, Bag] = field(default_factory=dict)
    wealth: Array = field(default_factory=lambda: np.zeros((0, N_BETS)))
    histogram: Array = field(default_factory=lambda: np.zeros((0, N_BINS)))
    n_rows: int = 0

    @classmethod
    def on(
        cls,
        names: tuple[str, ...],
        reference: Array,
        threshold: float,
        *,
        strata: Array | None = None,
        cap: int = 100_000,
    ) -> EDetector:
        """Return a detector that has seen nothing but the scores (n, K) of a reference."""
        detector = cls(names, threshold, cap)
        detector.wealth = np.zeros((len(names), N_BETS))
        detector.histogram = np.full((len(names), N_BINS), 1.0)
        keys = np.full(len(reference), "") if strata is None else strata
        for key in np.unique(keys):
            part = reference[keys == key]
            columns = [np.sort(column[~np.isnan(column)]) for column in part.T]
            detector.bags[str(key)] = Bag(columns, max(cap, len(part)))
        return detector

    @property
    def evidence(self) -> float:
        """``R``: the mean wealth of all bets by their shares; an alarm at the threshold."""
        return float(score_shares(self.names) @ self.wealth @ bet_shares()) if self.names else 0.0

    def evidence_by_score(self) -> dict[str, float]:
        """Return the mean wealth of the bets on each score."""
        return dict(zip(self.names, (self.wealth @ bet_shares()).tolist(), strict=True))

    def bag_sizes(self) -> dict[str, int]:
        """Return how many rows each stratum's bag has."""
        return {k: max(map(len, bag.columns), default=0) for k, bag in self.bags.items()}

    def observe(
        self, scores: Array, uniforms: Array, strata: Array | None = None, *, n_strata: int = 1
    ) -> Array:
        """Return ``R`` after each row (n,), having bet on rows in their order.

        Parameters
        ----------
        scores : ndarray (n, K)
        uniforms : ndarray (n, K)
            Between 0 and 1, one for each score: they break ties, and must not depend on the rows.
        strata : ndarray (n,) of str, optional
            A row is compared within its stratum only.
        n_strata : int
            How many strata there will be, as far as that is known.
        """
        if not self.names or not len(scores):
            return np.zeros(len(scores))
        p, frozen = self._p_values(scores, uniforms, strata, n_strata)
        bets, self.histogram = fair_bets(p.T, frozen.T, self.histogram)
        paths = wagered(self.wealth.T, bets)
        self.wealth = paths[..., -1].T.copy()
        self.n_rows += len(scores)
        return np.asarray(np.einsum("j,k,jkn->n", bet_shares(), score_shares(self.names), paths))

    def _p_values(
        self, scores: Array, uniforms: Array, strata: Array | None, n_strata: int
    ) -> tuple[Array, Array]:
        keys = self._bag_keys(scores, strata)
        n_bags = max(len(self.bags), n_strata)
        room = max(_TIMES * self.cap // n_bags, min(self.cap, _LEAST_BAG))
        p, frozen = np.full(scores.shape, np.nan), np.zeros(scores.shape, dtype=np.int64)
        for key in np.unique(keys):
            rows = np.flatnonzero(keys == key)
            bag = self.bags[str(key)]
            bag.cap = min(bag.cap, room)
            p[rows], frozen[rows] = bag.p_values(scores[rows], uniforms[rows])
        return p, frozen

    def _bag_keys(self, scores: Array, strata: Array | None) -> Array:
        """Return the bag of each row, (n,) str; a stratum that is new gets one, if not too many."""
        keys = np.full(len(scores), "") if strata is None else strata.astype(object)
        for key in np.unique(keys.astype(str)):
            name = str(key)
            if name not in self.bags and len(self.bags) >= _MOST_STRATA:
                keys[keys == name] = name = OTHERS
            if name not in self.bags:
                self.bags[name] = Bag([np.empty(0) for _ in self.names], self.cap)
        return keys.astype(str)

    def to_bytes(self) -> bytes:
        """Return the state as a NumPy archive without pickled objects.

        It is not packed: that took longer than all bets on a window.
        """
        arrays: dict[str, Any] = {
            "names": np.array(self.names, dtype=str),
            "threshold": np.array(self.threshold),
            "cap": np.array(self.cap),
            "wealth": self.wealth,
            "histogram": self.histogram,
            "n_rows": np.array(self.n_rows),
            "strata": np.array(list(self.bags), dtype=str),
            "caps": np.array([bag.cap for bag in self.bags.values()]),
        }
        for i, bag in enumerate(self.bags.values()):
            arrays |= {f"bag_{i}_{k}": column for k, column in enumerate(bag.columns)}
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> EDetector:
        """Return the detector that :meth:`to_bytes` wrote."""
        with np.load(io.BytesIO(content), allow_pickle=False) as held:
            names = tuple(held["names"].tolist())
            bags = {
                key: Bag([held[f"bag_{i}_{k}"] for k in range(len(names))], int(held["caps"][i]))
                for i, key in enumerate(held["strata"].tolist())
            }
            wealth = held["wealth"]
            if wealth.shape[1] != N_BETS:  # written when there were other bets: they start anew
                wealth = np.zeros((len(names), N_BETS))
            return cls(
                names,
                float(held["threshold"]),
                int(held["cap"]),
                bags,
                wealth,
                held["histogram"],
                int(held["n_rows"]),
            )


def comparable_scores(names: tuple[str, ...], reference: Array) -> tuple[list[int], dict[str, str]]:
    """Return the columns of scores that can be compared, and why each other cannot.

    It is never silently "no drift": what is not tested is said with its reason.
    """
    kept, reasons = [], {}
    for k, name in enumerate(names):
        column = reference[:, k]
        known = column[~np.isnan(column)]
        if len(known) < LEAST_ROWS:
            reasons[name] = f"{len(known)} rows of the reference have it, {LEAST_ROWS} are needed"
        elif known.min() == known.max():
            reasons[name] = "it is the same for every row of the reference"
        else:
            kept.append(k)
    return kept, reasons
