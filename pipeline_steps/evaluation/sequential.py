"""Deciding as the rows come in: tests of a mean that may be looked at after every row.

A Wilson interval that is looked at again and again excludes the truth sooner or later. Here the
evidence is a bettor's wealth, which under the hypothesis grows with a small probability however
often one looks: "reached 20 times the stake" has probability 1/20 at most (Ville 1939).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from pipeline_steps.errors import ConfigurationError
from pipeline_steps.types import Value

Array = np.ndarray[Any, Any]
Decision = Literal["above", "below", "open"]

_BETS = 40
_MEANS = 1_000


class StoppedAt(Value):
    """A decision, after how many rows it fell, and the interval there that optional stopping keeps.

    ``open``: the rows ended before the mean was told from the floor.
    """

    decision: Decision
    n: int
    mean: float
    ci_low: float
    ci_high: float


class MeanTest:
    """Tells whether the mean of values in [0, 1] is above or below a floor, row by row.

    "above" is said of a mean at or below the floor with probability ``alpha`` at most, "below" of
    one at or above it with ``alpha`` at most, over all the times that one may look. The rows must
    come in an order that does not depend on their values.

    Parameters
    ----------
    floor : float
        Between 0 and 1, exclusive.
    alpha : float
        Probability of a false decision.

    Raises
    ------
    ConfigurationError
        If the floor or alpha is not between 0 and 1.

    References
    ----------
    Waudby-Smith and Ramdas (2024), "Estimating means of bounded random variables by betting",
    JRSS B 86, 1-27: the wealth of a grid of constant bets, section 4.5 and appendix B. Averaging
    the wealths of fixed bets is the method of mixtures (Robbins 1970).
    """

    def __init__(self, floor: float, alpha: float) -> None:
        _refuse_edges(floor, alpha)
        self.alpha = alpha
        self.floor = floor
        self.seen: list[float] = []
        self.decision: Decision = "open"
        self._logs = np.zeros((2, _BETS))

    def add(self, values: Sequence[float]) -> Decision:
        """Return the decision after further rows; a decision that fell stays."""
        if self.decision != "open" or not len(values):
            return self.decision
        found = np.array(values, dtype=float)
        paths = self._logs[:, None] + _log_gains(found, np.array(self.floor)).cumsum(axis=1)
        won = _log_mean(paths) >= -np.log(self.alpha)
        ends = np.flatnonzero(won.any(axis=0))
        n = int(ends[0]) + 1 if len(ends) else len(found)
        self.seen += found[:n].tolist()
        self._logs = paths[:, n - 1]
        if len(ends):
            self.decision = "above" if won[0, n - 1] else "below"
        return self.decision

    @property
    def n(self) -> int:
        """Rows that the decision rests on."""
        return len(self.seen)


def decide(values: Sequence[float], floor: float, alpha: float) -> StoppedAt:
    """Return where a test of ``values`` in this order stops, with the confidence sequence there.

    Examples
    --------
    >>> found = decide([1.0] * 100, floor=0.5, alpha=0.05)
    >>> found.decision, found.n
    ('above', 7)
    """
    test = MeanTest(floor, alpha)
    test.add(values)
    low, high = confidence_sequence(test.seen, alpha)
    mean = float(np.mean(test.seen)) if test.seen else float("nan")
    return StoppedAt(decision=test.decision, n=test.n, mean=mean, ci_low=low, ci_high=high)


def decide_paired(
    candidate: Sequence[float], champion: Sequence[float], margin: float, alpha: float
) -> StoppedAt:
    """Return where it is decided whether a candidate's mean is within ``margin`` of a champion's.

    Both are of the same rows in the same order; the mean and the interval are of the difference,
    candidate minus champion. "above": the candidate is worse by less than the margin (0: it is
    better). The difference d of a row is tested as (1 + d) / 2 against (1 - margin) / 2.
    """
    halves = [(1.0 + a - b) / 2.0 for a, b in zip(candidate, champion, strict=True)]
    found = decide(halves, (1.0 - margin) / 2.0, alpha)
    ends = {name: 2.0 * getattr(found, name) - 1.0 for name in ("mean", "ci_low", "ci_high")}
    return found.model_copy(update=ends)


def confidence_sequence(values: Sequence[float], alpha: float) -> tuple[float, float]:
    """Return an interval of the mean that holds at every number of rows at once.

    The ends are on a grid of thousandths, rounded outwards. It is wider than a Wilson interval of
    the same rows: the price of looking whenever one likes.

    References
    ----------
    Waudby-Smith and Ramdas (2024), theorem 3: the means against which no bettor of either side,
    with half of alpha each, has won.
    """
    if not len(values):
        return 0.0, 1.0
    means, step = np.arange(1, _MEANS) / _MEANS, 1.0 / _MEANS
    distinct, counts = np.unique(np.array(values, dtype=float), return_counts=True)
    logs = np.zeros((2, len(means), _BETS))
    for value, count in zip(distinct, counts, strict=True):  # their order does not matter
        logs += count * _log_gains(np.full(len(means), value), means)
    kept = means[_log_mean(logs).max(axis=0) < np.log(2.0 / alpha)]
    if not len(kept):  # no mean of the grid fits: the truth lies between two of them, or at an end
        kept = np.array([np.mean(values)])
    return max(0.0, float(kept[0]) - step), min(1.0, float(kept[-1]) + step)


def _log_gains(values: Array, means: Array) -> Array:
    """Return what each bet multiplies its wealth by on each value, as logs (2, n, n_bets).

    First those who bet that the mean is higher. A bet is a share of what may be lost on one row.
    """
    bets = (np.arange(_BETS) + 0.5) / _BETS
    gap = (values - means)[:, None]
    level = np.broadcast_to(means, values.shape)[:, None]
    return np.stack([np.log1p(bets / level * gap), np.log1p(-bets / (1.0 - level) * gap)])


def _log_mean(logs: Array) -> Array:
    """Return the log of the mean wealth over the bets, the last axis."""
    largest = logs.max(axis=-1)
    return np.asarray(largest + np.log(np.exp(logs - largest[..., None]).mean(axis=-1)))


def _refuse_edges(floor: float, alpha: float) -> None:
    if not (0.0 < floor < 1.0 and 0.0 < alpha < 1.0):
        raise ConfigurationError(
            f"a floor of {floor} at alpha {alpha} cannot be tested",
            expected="both between 0 and 1, exclusive",
            fix="choose for example floor 0.3 and alpha 0.05",
        )
