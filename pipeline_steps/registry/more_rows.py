"""How many more rows would decide a question that is open."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

_NORMAL = NormalDist()
_MOST = 1_000
PROMISED = 0.8
"""The probability with which the rows that are named decide."""


def more_rows(gain: float, error: float, margin: float, n: int, confidence: float) -> int | None:
    """Return about how many more rows decide with probability 0.8; ``None``: too many to name.

    Decided is: the interval of the difference lies above minus the margin, or below 0. The truth
    is not known; given what was seen, the gain over n + m rows is spread around the observed one
    with the variance that the new rows bring (a flat prior, predictive probability).

    Parameters
    ----------
    gain : float
        Candidate minus champion, more is better.
    error : float
        Its standard error over ``n`` rows.
    margin : float
        By which the candidate may be worse.
    n : int
        Rows so far.
    confidence : float
        Coverage of the interval, two-sided.

    References
    ----------
    Spiegelhalter, Freedman and Blackburn (1986), "Monitoring clinical trials: conditional or
    predictive power?", Controlled Clinical Trials 7, 8-17.
    """
    if error <= 0.0:
        return None
    return _fewest(n, lambda times: _decided(gain, error, margin, times, confidence))


def more_rows_for_gain(gain: float, error: float, alpha: float, n: int) -> int | None:
    """Return about how many more rows show a gain with probability 0.8; ``None``: too many.

    Shown is: a one-sided test at ``alpha`` over all rows. The probability is the predictive one of
    :func:`more_rows`: where the gain that was seen may well be none, no number of rows is promised.

    Examples
    --------
    >>> [more_rows_for_gain(gain, 0.005, 0.0038, 1000) for gain in (0.01, 0.002)]
    [3505, None]
    """
    if error <= 0.0 or alpha <= 0.0:
        return None
    return _fewest(n, lambda times: _shown(gain, error, alpha, times))


def _fewest(n: int, probability: Callable[[float], float]) -> int | None:
    """Return how many rows beside ``n`` promise enough, by bisection over multiples of ``n``."""
    low, high = 1.0, float(_MOST)
    if probability(high) < PROMISED:
        return None
    while high - low > 1.0 / n:
        middle = (low + high) / 2.0
        if probability(middle) >= PROMISED:
            high = middle
        else:
            low = middle
    return max(1, round(n * (high - 1.0)))


def _shown(gain: float, error: float, alpha: float, times: float) -> float:
    """Return the probability that a gain is shown once there are ``times`` as many rows."""
    asked = -_NORMAL.inv_cdf(alpha) * error / math.sqrt(times)
    spread = error * math.sqrt(1.0 - 1.0 / times)
    return float(gain >= asked) if spread == 0.0 else _NORMAL.cdf((gain - asked) / spread)


def _decided(gain: float, error: float, margin: float, times: float, confidence: float) -> float:
    """Return the probability of a decision once there are ``times`` as many rows."""
    half = _NORMAL.inv_cdf((1.0 + confidence) / 2.0) * error / math.sqrt(times)
    spread = error * math.sqrt(1.0 - 1.0 / times)
    if spread == 0.0:
        return float(gain - half >= -margin or gain + half < 0.0)
    not_worse = _NORMAL.cdf((gain - half + margin) / spread)
    worse = _NORMAL.cdf((-gain - half) / spread)
    # Beyond the border where an interval does both, each is counted once.
    return min(1.0, not_worse + worse)
