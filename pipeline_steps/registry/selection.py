"""What a gain is worth that was picked because it was large: the winner's curse, taken off."""

from __future__ import annotations

import math
from statistics import NormalDist

_NORMAL = NormalDist()
_BISECTIONS = 60
_LOWEST = 20.0  # standard errors below the observed gain


def corrected_gain(gain: float, error: float, alpha: float) -> float:
    """Return the median-unbiased estimate of a gain that is reported only because it was shown.

    Among candidates that pass a test, the observed gains are too large. Given that a gain was
    larger than what the test asks for, the estimate is the true gain for which the observed one
    would be the median. It is 0 or more, and close to the observed gain where that lies far beyond
    the threshold.

    Parameters
    ----------
    gain : float
        The observed gain, more is better.
    error : float
        Its standard error.
    alpha : float
        One-sided level of the test that it passed.

    References
    ----------
    Zhong and Prentice (2008), "Bias-reduced estimators and confidence intervals for odds ratios in
    genome-wide association studies", Biostatistics 9, 621-634: estimates conditional on
    significance.

    Examples
    --------
    >>> round(corrected_gain(0.050, 0.005, 0.01), 4)  # ten standard errors
    0.05
    >>> round(corrected_gain(0.013, 0.005, 0.01), 4)  # just beyond the threshold
    0.0008
    """
    if error <= 0.0 or alpha <= 0.0:
        return max(gain, 0.0)
    threshold = _NORMAL.inv_cdf(1.0 - alpha) * error
    low, high = gain - _LOWEST * error, gain
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        beyond = _NORMAL.cdf((middle - max(gain, threshold)) / error)
        shown = _NORMAL.cdf((middle - threshold) / error)
        if shown <= 0.0 or beyond < shown / 2.0:
            low = middle
        else:
            high = middle
    return max(0.0, min((low + high) / 2.0, gain)) if math.isfinite(gain) else 0.0
