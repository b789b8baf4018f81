"""How many more rows would decide a question that is open."""

from __future__ import annotations

import math
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
    low, high = 1.0, float(_MOST)
    if _decided(gain, error, margin, high, confidence) < PROMISED:
        return None
    while high - low > 1.0 / n:
        middle = (low + high) / 2.0
        if _decided(gain, error, margin, middle, confidence) >= PROMISED:
            high = middle
        else:
            low = middle
    return max(1, round(n * (high - 1.0)))


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
