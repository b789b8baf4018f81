"""Stage 2: has the risk risen over a line? A few labels, a verdict at any time.

Whoever bets that the risk lies above the line, at odds that are fair if it does not, gets 1 / alpha
times the stake with probability alpha at most, however often one looks (Ville 1939; Waudby-Smith
and Ramdas 2024, "Estimating means of bounded random variables by betting").
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from scipy import special, stats

from pipeline_steps.types import Value

Array = np.ndarray[Any, Any]
HarmVerdict = Literal["harm", "benign", "open"]
_ABOVE = (0.01, 0.03, 0.06, 0.12, 0.25, 0.5, 0.9)  # of the way from the line to 1
_BELOW = (0.0, 0.25, 0.5, 0.75)  # of the line
_LEAST_LINE, _LARGEST_LINE = 1e-4, 0.98
_GRID = np.concatenate([np.linspace(0.001, 0.1, 34)[:-1], np.linspace(0.1, 0.98, 89)])
_GRID_ABOVE = _GRID[:, None] + (1.0 - _GRID[:, None]) * np.array(_ABOVE)
_GRID_BELOW = _GRID[:, None] * np.array(_BELOW)


class Harm(Value):
    """What the labels of one ticket say of the risk.

    ``evidence_harm``, ``evidence_benign``: wealth of the two bettors, 1 at the start; they decide
    at ``1 / alpha``, which was after ``decided_after`` labels. ``risk`` is the mean loss of all
    ``n`` labelled rows, its interval holds at every number of labels.
    """

    verdict: HarmVerdict
    line: float
    n: int
    decided_after: int | None
    risk: float | None
    ci_low: float
    ci_high: float
    evidence_harm: float
    evidence_benign: float


def confirm(losses: Iterable[float], *, line: float, alpha: float) -> Harm:
    """Return the verdict over losses in the order in which their rows were asked for.

    The verdict is that of the first label at which it was reached; later ones cannot take it back.

    Parameters
    ----------
    losses : iterable of float
        In [0, 1]; of rows drawn uniformly, in the order of drawing.
    line : float
        Largest risk that is tolerated.
    alpha : float
        Bound on the probability of a wrong verdict, for each of the two.
    """
    values = np.fromiter(losses, dtype=np.float64)
    line = within_reach(line)
    verdict, n, (harm, benign) = first_verdict(values, line, alpha)
    low, high = risk_interval(values, alpha)
    return Harm(
        verdict=verdict,
        line=line,
        n=len(values),
        decided_after=None if verdict == "open" else n,
        risk=float(values.mean()) if len(values) else None,
        ci_low=low,
        ci_high=high,
        evidence_harm=_shown(harm, n),
        evidence_benign=_shown(benign, n),
    )


def first_verdict(
    losses: Array, line: float, alpha: float
) -> tuple[HarmVerdict, int, tuple[Array, Array]]:
    """Return the first verdict, its number of labels, and the log wealth of both bettors (n,)."""
    harm = _wealth(odds_on_harm(losses, line))
    benign = _wealth(_odds(losses, line, line * np.array(_BELOW)))
    return *_first(harm, benign, np.log(1.0 / alpha)), (harm, benign)


def odds_on_harm(losses: Array, line: float) -> Array:
    """Return what each bettor on a higher risk makes of a stake of 1 on each loss, (n, n_bettors).

    Its mean is 1 at most where the risk is not above the line, and it grows with the loss.
    """
    return _odds(losses, line, line + (1.0 - line) * np.array(_ABOVE))


def within_reach(line: float) -> float:
    """Return the line, moved to where bets against it are possible."""
    return min(max(line, _LEAST_LINE), _LARGEST_LINE)


def risk_line(losses: Array, *, tolerated: float, confidence: float) -> float:
    """Return the upper confidence bound of the risk on held-out rows plus the tolerated harm."""
    return min(upper_bound(losses, confidence) + tolerated, 1.0)


def upper_bound(losses: Array, confidence: float) -> float:
    """Return a one-sided upper bound of the mean loss: exact for 0/1 losses, else by moments.

    Clopper and Pearson (1934); Maurer and Pontil (2009), "Empirical Bernstein bounds".
    """
    n = len(losses)
    if not n:
        return 1.0
    if np.isin(losses, (0.0, 1.0)).all():
        k = int(losses.sum())
        return 1.0 if k == n else float(stats.beta.ppf(confidence, k + 1, n - k))
    if n == 1:
        return 1.0
    log = np.log(2.0 / (1.0 - confidence))
    spread = np.sqrt(2.0 * losses.var(ddof=1) * log / n) + 7.0 * log / (3.0 * (n - 1))
    return float(min(losses.mean() + spread, 1.0))


def risk_interval(losses: Array, alpha: float) -> tuple[float, float]:
    """Return an interval of the risk that holds at every number of labels at once.

    All risks that neither bettor has refuted at ``2 / alpha``; the whole of [0, 1] at the start. A
    risk beyond the ends of the grid is not refuted where that end is not.
    """
    if not len(losses):
        return 0.0, 1.0
    limit = np.log(2.0 / alpha)
    above, below = (_final_wealth(losses, risks) for risks in (_GRID_ABOVE, _GRID_BELOW))
    kept = np.flatnonzero((above < limit) & (below < limit))
    if not len(kept):
        return 0.0, 1.0
    low = 0.0 if kept[0] == 0 else float(_GRID[kept[0]])
    high = 1.0 if kept[-1] == len(_GRID) - 1 else float(_GRID[kept[-1]])
    return low, high


def _final_wealth(losses: Array, risks: Array) -> Array:
    """Return the largest logarithm of wealth at each risk of the grid, (n_grid,)."""
    lines = _GRID[:, None]
    stakes = ((risks - lines) / (lines * (1.0 - lines)))[None]
    with np.errstate(divide="ignore"):
        factors = 1.0 + stakes * (losses[:, None, None] - lines[None])
        logs = np.log(np.maximum(factors, 0.0)).cumsum(axis=0)
    most = logs.max(axis=2, keepdims=True).clip(-1e300)
    wealth = most[..., 0] + np.log(np.exp(logs - most).mean(axis=2))
    return np.asarray(wealth.max(axis=0))


def _odds(losses: Array, line: float, risks: Array) -> Array:
    """Return what bettors who believe in risks make of a stake of 1 on each loss."""
    stakes = (risks - line) / (line * (1.0 - line))
    return np.asarray(np.maximum(1.0 + stakes[None, :] * (losses[:, None] - line), 0.0))


def _wealth(factors: Array) -> Array:
    """Return the logarithm of the bettors' mean wealth after each loss."""
    with np.errstate(divide="ignore"):  # a bettor who was sure, and wrong, has nothing left
        logs = np.log(factors).cumsum(axis=0)
    return np.asarray(special.logsumexp(logs, axis=1) - np.log(factors.shape[1]))


def _first(harm: Array, benign: Array, limit: float) -> tuple[HarmVerdict, int]:
    """Return the verdict that is reached first and after how many labels."""
    over = [np.flatnonzero(wealth >= limit) for wealth in (harm, benign)]
    firsts = [int(found[0]) + 1 if len(found) else len(harm) + 1 for found in over]
    if min(firsts) > len(harm):
        return "open", len(harm)
    return ("harm", firsts[0]) if firsts[0] <= firsts[1] else ("benign", firsts[1])


def _shown(wealth: Array, n: int) -> float:
    return float(np.exp(min(wealth[n - 1], 700.0))) if n else 1.0
