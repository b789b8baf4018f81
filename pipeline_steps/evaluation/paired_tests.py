"""One-sided paired tests of "the candidate is better" over the same rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline_steps.evaluation.scored import ScoredRows

_CHUNK = 64
_ROUNDING = 1e-12


def mcnemar_p(only_candidate: int, only_champion: int) -> float:
    """Return the exact one-sided p-value that the candidate is right more often (McNemar 1947).

    Among the rows on which exactly one of the two is right, the candidate's share is 1/2 under
    the null hypothesis.

    Examples
    --------
    >>> mcnemar_p(0, 0)
    1.0
    >>> round(mcnemar_p(9, 1), 4)
    0.0107
    """
    discordant = only_candidate + only_champion
    # log n! of 0 to n, and from it the log of each outcome's probability.
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, discordant + 1)))])
    as_many = np.arange(only_candidate, discordant + 1)
    logs = factorials[-1] - factorials[as_many] - factorials[discordant - as_many]
    return float(min(1.0, np.exp(logs - discordant * np.log(2.0)).sum()))


def swap_tests(
    candidate: ScoredRows,
    champion: ScoredRows,
    gains: Mapping[str, float],
    resamples: int,
    seed: int,
) -> dict[str, tuple[float, float]]:
    """Return the p-values of "better" and "worse" by randomly swapping the outputs of a row.

    If the models were the same in all but chance, swapping would change nothing: the p-value is
    the share of swapped pairs that show a gain (a loss) as large, the observed one counted among
    them.

    Parameters
    ----------
    candidate, champion : ScoredRows
        The same rows in the same order.
    gains : mapping of str to float
        Candidate minus champion in each metric, signed so that more is better.
    resamples : int
        Number of random swaps.
    seed : int
        Same seed, same swaps.

    References
    ----------
    Noreen (1989), "Computer-intensive methods for testing hypotheses"; Yeh (2000), "More accurate
    tests for the statistical significance of result differences", COLING 2000, section 3.2.
    """
    both = candidate.followed_by(champion)
    generator = np.random.default_rng((seed, 2))  # not the stream that draws the bootstrap rows
    reached = {name: [1, 1] for name in gains}
    for start in range(0, resamples, _CHUNK):
        size = min(_CHUNK, resamples - start)
        keep = generator.integers(0, 2, size=(size, len(candidate))).astype(np.float64)
        ours = both.weighted(np.hstack([keep, 1.0 - keep]))
        theirs = both.weighted(np.hstack([1.0 - keep, keep]))
        for name, gain in gains.items():
            sign = 1.0 if candidate.directions[name] else -1.0
            swapped = sign * (ours[name] - theirs[name])
            reached[name][0] += int((swapped >= gain - _ROUNDING).sum())
            reached[name][1] += int((swapped <= gain + _ROUNDING).sum())
    total = 1 + resamples
    return {name: (better / total, worse / total) for name, (better, worse) in reached.items()}


def swap_p_values(
    candidate: ScoredRows,
    champion: ScoredRows,
    gains: Mapping[str, float],
    resamples: int,
    seed: int,
) -> dict[str, float]:
    """Return the p-value of "the candidate is better" in each metric; see :func:`swap_tests`."""
    tests = swap_tests(candidate, champion, gains, resamples, seed)
    return {name: better for name, (better, _) in tests.items()}
