"""A lower bound that no attack can go below: the vote of a model over texts with words left out.

Every word is left out with one probability, independently, many times over; the smoothed model
answers with the most frequent label. Few edits of words cannot turn a clear vote, which is a proof
about the smoothed model: it says nothing of the model on whole texts.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence

from pipeline_steps.errors import ConfigurationError
from pipeline_steps.evaluation.intervals import wilson_interval
from pipeline_steps.evaluation_types import MetricValue
from pipeline_steps.types import Value

Labeller = Callable[[Sequence[str]], Sequence[str]]
"""Returns the label of each text."""

_MAJORITY = 0.5
_RADII = (1, 2, 5)


class Smoothing(Value):
    """How a model is smoothed, and how surely its vote is known.

    ``deletion_rate``: probability that a word is left out. ``n_choosing`` texts choose the label,
    ``n_counting`` others bound how often it comes; ``alpha`` is the probability that one row's
    bound is wrong.
    """

    deletion_rate: float = 0.9
    n_choosing: int = 50
    n_counting: int = 500
    alpha: float = 0.001


class Certificate(Value):
    """The label of the smoothed model on a row, and the edits of words that cannot change it.

    ``label`` is ``None`` where no label has a certain majority: the smoothed model abstains.
    ``share_low`` is the lower bound of the label's share.
    """

    label: str | None
    share_low: float
    radius: int


def certify(text: str, labeller: Labeller, smoothing: Smoothing, seed: int) -> Certificate:
    """Return the certificate of one text: what edits of its words cannot change.

    Words are what stands between blanks; an edit inserts, deletes or replaces one.

    References
    ----------
    Huang, Marchant, Lucas, Bauer, Ohrimenko and Rubinstein (2023), "RS-Del: Edit distance
    robustness certificates for sequence classifiers via randomized deletion", NeurIPS 2023; Huang,
    Marchant, Ohrimenko and Rubinstein (2024), "CERT-ED", EMNLP Findings 2024; the two samples as in
    Cohen, Rosenfeld and Kolter (2019), ICML 2019, section 3.2.2.
    """
    _refuse_settings(smoothing)
    draw = random.Random(seed)  # noqa: S311 - no secret
    n = smoothing.n_choosing + smoothing.n_counting
    labels = list(labeller([shortened(text, smoothing.deletion_rate, draw) for _ in range(n)]))
    chosen = Counter(labels[: smoothing.n_choosing]).most_common(1)[0][0]
    hits = sum(label == chosen for label in labels[smoothing.n_choosing :])
    low = share_lower_bound(hits, smoothing.n_counting, smoothing.alpha)
    if low <= _MAJORITY:
        return Certificate(label=None, share_low=low, radius=0)
    radius = certified_radius(low, smoothing.deletion_rate)
    return Certificate(label=chosen, share_low=low, radius=radius)


def shortened(text: str, deletion_rate: float, draw: random.Random) -> str:
    """Return a text without the words that a draw leaves out."""
    return " ".join(word for word in text.split() if draw.random() >= deletion_rate)


def share_lower_bound(hits: int, n: int, alpha: float) -> float:
    """Return the one-sided lower bound of a share (Clopper and Pearson 1934, Biometrika 26).

    Examples
    --------
    >>> round(share_lower_bound(100, 100, 0.05), 4)
    0.9705
    """
    from scipy.stats import beta

    return float(beta.ppf(alpha, hits, n - hits + 1)) if hits else 0.0


def certified_radius(share_low: float, deletion_rate: float) -> int:
    """Return the most edits of words that leave the majority label where it is.

    With share mu and rate p, the share after r edits of any kind is at least mu - 1 + p ** r
    (replacements are the worst kind); the radius is the largest r for which that exceeds 1/2.

    References
    ----------
    Huang et al. (2023), theorem 7 and corollary 8, with the other labels together as the rival.

    Examples
    --------
    >>> certified_radius(0.99, 0.9), certified_radius(0.5, 0.9)
    (6, 0)
    """
    needed = 1.0 + _MAJORITY - share_low
    if needed >= 1.0:
        return 0
    # The logarithm lands near the radius; the strict inequality has the last word on rounding.
    radius = math.floor(math.log(needed) / math.log(deletion_rate)) + 1
    while radius and deletion_rate**radius <= needed:
        radius -= 1
    return radius


def certified_metrics(
    certificates: Sequence[Certificate], truths: Sequence[str], confidence: float
) -> tuple[MetricValue, ...]:
    """Return the accuracy of the smoothed model, and its part that is certain under 1, 2, 5 edits.

    A row without a certain majority counts as wrong. The intervals are over other rows; that a
    certificate may be wrong (``alpha``) comes on top.
    """
    right = [c.label == truth for c, truth in zip(certificates, truths, strict=True)]
    radii = [c.radius if good else -1 for c, good in zip(certificates, right, strict=True)]
    named = {"smoothed_accuracy": 0} | {f"certified_accuracy_{r}": r for r in _RADII}
    return tuple(
        _share(name, sum(found >= least for found in radii), len(radii), confidence)
        for name, least in named.items()
    )


def _share(name: str, hits: int, n: int, confidence: float) -> MetricValue:
    if not n:
        return MetricValue(name=name, value=None, n=0)
    low, high = wilson_interval(hits, n, confidence)
    return MetricValue(name=name, value=hits / n, n=n, ci_low=low, ci_high=high)


def _refuse_settings(smoothing: Smoothing) -> None:
    rate, alpha = smoothing.deletion_rate, smoothing.alpha
    counts = min(smoothing.n_choosing, smoothing.n_counting)
    if not (0.0 < rate < 1.0 and 0.0 < alpha < 1.0 and counts >= 1):
        raise ConfigurationError(
            f"nothing can be certified with {smoothing}",
            expected="deletion_rate and alpha between 0 and 1, at least one text of each sample",
            fix="choose for example deletion_rate 0.9, n_choosing 50, n_counting 500, alpha 0.001",
        )
