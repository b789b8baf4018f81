"""Confidence intervals of a share, of a paired difference of shares, and of bootstrap resamples.

The two intervals of shares stay honest where the bootstrap cannot: with no error among 20 rows,
or no row on which two models differ, every resample is the same and its interval has no width.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np

_NORMAL = NormalDist()
_BISECTIONS = 60


def wilson_interval(hits: float, n: int, confidence: float) -> tuple[float, float]:
    """Return the score interval of a share (Wilson 1927, JASA 22, 209-212).

    Examples
    --------
    >>> low, high = wilson_interval(20, 20, 0.95)
    >>> round(low, 3), round(high, 3)
    (0.839, 1.0)
    """
    z = two_sided_z(confidence)
    share = hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))


def tango_interval(
    only_first: int, only_second: int, n: int, confidence: float
) -> tuple[float, float]:
    """Return the score interval of a difference of two shares over the same rows.

    Parameters
    ----------
    only_first, only_second : int
        Rows on which only the first, or only the second, of the two is right.
    n : int
        All rows.
    confidence : float
        Coverage, two-sided.

    References
    ----------
    Tango (1998), "Equivalence test and confidence interval for the difference in proportions for
    the paired-sample design", Statistics in Medicine 17, 891-908.

    Examples
    --------
    >>> low, high = tango_interval(0, 0, 50, 0.95)
    >>> round(low, 3), round(high, 3)
    (-0.071, 0.071)
    """
    z = two_sided_z(confidence)
    difference = (only_first - only_second) / n

    def statistic(delta: float) -> float:
        return _tango_statistic(only_first, only_second, n, delta)

    low = _bisect(lambda delta: statistic(delta) > z, -1.0, difference)
    high = _bisect(lambda delta: statistic(delta) >= -z, difference, 1.0)
    return low, high


def bias_corrected_interval(
    estimate: float, resampled: np.ndarray[Any, Any], confidence: float
) -> tuple[float, float]:
    """Return the bias-corrected percentile interval of bootstrap resamples.

    The plain percentile interval of macro-F1 covers too rarely where labels have few rows each:
    resampling lowers the F1 of small classes. The correction shifts the percentiles by the share
    of resamples below the estimate. The interval always holds the estimate.

    References
    ----------
    Efron (1987), "Better bootstrap confidence intervals", JASA 82, 171-185, equation 1.8 (BC; the
    acceleration of BCa is left out).
    """
    below = (np.mean(resampled < estimate) + np.mean(resampled <= estimate)) / 2.0
    least = 0.5 / len(resampled)  # no share is surer than the number of resamples allows
    shift = 2.0 * _NORMAL.inv_cdf(float(np.clip(below, least, 1.0 - least)))
    z = two_sided_z(confidence)
    low, high = np.quantile(resampled, [_NORMAL.cdf(shift - z), _NORMAL.cdf(shift + z)])
    return min(float(low), estimate), max(float(high), estimate)


def allowing_for_unseen(
    ends: tuple[float, float],
    estimate: float,
    correct: np.ndarray[Any, Any],
    confidence: float,
    *,
    most: float,
) -> tuple[float, float]:
    """Return an interval that allows for mistakes (or hits) of which the rows happen to show none.

    Resamples of rows that are all right say that a mistake cannot be. Wilson's interval says how
    frequent it may be all the same; the value moves by ``most``, the largest there is, if all rows
    turn, and in proportion if some do. The ends stay where the rows show both.

    Parameters
    ----------
    ends : tuple of float
        Lower and upper end as the resamples have them.
    estimate : float
        The value that they lie around.
    correct : ndarray (n,) bool
        Whether each row was right.
    confidence : float
        Coverage, two-sided.
    most : float
        The largest value; the smallest is 0.

    Examples
    --------
    >>> ends = allowing_for_unseen((0.0, 0.001), 0.001, np.ones(20, bool), 0.95, most=1.0)
    >>> round(ends[0], 3), round(ends[1], 3)
    (0.0, 0.162)
    """
    hits, n = int(correct.sum()), len(correct)
    if hits not in (0, n):
        return ends
    low, high = wilson_interval(hits, n, confidence)
    margin = most * (high - low)
    return max(0.0, min(ends[0], estimate - margin)), max(ends[1], min(estimate + margin, most))


def two_sided_z(confidence: float) -> float:
    """Return the normal quantile of a two-sided interval with this coverage."""
    return _NORMAL.inv_cdf((1.0 + confidence) / 2.0)


def _tango_statistic(only_first: int, only_second: int, n: int, delta: float) -> float:
    """Return the score statistic of the hypothesis that the difference is ``delta``.

    ``q`` is the maximum-likelihood probability of "only the second is right" under it.
    """
    b = -only_first - only_second + (2 * n - only_first + only_second) * delta
    c = -only_second * delta * (1 - delta)
    q = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    variance = n * (2 * q + delta * (1 - delta))
    gap = only_first - only_second - n * delta
    if variance <= 0.0:
        return math.copysign(math.inf, gap) if gap else 0.0
    return gap / math.sqrt(variance)


def _bisect(is_left: Callable[[float], bool], low: float, high: float) -> float:
    """Return where ``is_left`` turns from true to false between ``low`` and ``high``."""
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        if is_left(middle):
            low = middle
        else:
            high = middle
    return (low + high) / 2.0
