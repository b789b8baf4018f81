"""Whether quarantine takes one label or group out more often than the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class SelectiveFinding:
    """A value whose rows were set aside far more often than the others'."""

    value: str
    n_rows: int
    n_quarantined: int
    share: float
    share_elsewhere: float
    p_value: float


def selective_values(
    totals: Mapping[str, int],
    quarantined: Mapping[str, int],
    *,
    alpha: float,
    min_excess: float,
) -> list[SelectiveFinding]:
    """Return the values (labels, groups) that quarantine takes out disproportionately.

    For each value: the one-sided Fisher exact test that its rows are set aside more often than all
    other rows, P(X >= quarantined) where X is hypergeometric (all rows, all quarantined rows, rows
    of the value); Holm's correction over the values; and an excess of at least ``min_excess`` in
    the share: a difference that is significant but small is let through.

    Parameters
    ----------
    totals : mapping of str to int
        Rows of each value before quarantine.
    quarantined : mapping of str to int
        Rows of each value that were set aside.
    alpha : float
        Family-wise false-alarm probability when quarantine is blind to the value.
    min_excess : float
        Difference of shares below which nothing is reported.

    References
    ----------
    Fisher (1935), The Design of Experiments, section 21. Holm (1979), A simple sequentially
    rejective multiple test procedure, Scandinavian Journal of Statistics 6, 65-70.

    Examples
    --------
    >>> [found] = selective_values({"a": 10, "b": 90}, {"a": 9, "b": 1}, alpha=0.01, min_excess=0.1)
    >>> found.value, found.share
    ('a', 0.9)
    """
    n_all, n_taken = sum(totals.values()), sum(quarantined.values())
    # A value of which nothing was taken has p = 1: it counts for Holm, and is never found.
    tests = [
        _fisher(value, totals[value], taken, n_all, n_taken)
        for value, taken in quarantined.items()
        if taken
    ]
    found = []
    for rank, finding in enumerate(sorted(tests, key=lambda f: (f.p_value, f.value))):
        if finding.p_value > alpha / (len(totals) - rank):
            break
        if finding.share - finding.share_elsewhere >= min_excess:
            found.append(finding)
    return found


def _fisher(value: str, n: int, taken: int, n_all: int, n_taken: int) -> SelectiveFinding:
    from scipy.stats import hypergeom

    elsewhere = n_all - n
    return SelectiveFinding(
        value=value,
        n_rows=n,
        n_quarantined=taken,
        share=taken / n,
        share_elsewhere=(n_taken - taken) / elsewhere if elsewhere else 0.0,
        p_value=float(hypergeom.sf(taken - 1, n_all, n_taken, n)),
    )
