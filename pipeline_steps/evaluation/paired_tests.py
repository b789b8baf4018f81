"""One-sided paired tests of "the candidate is better" over the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline_steps.evaluation.scored import ScoredRows

Array = np.ndarray[Any, Any]
_CHUNK = 64
_ENOUGH_HITS = 10
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


@dataclass(frozen=True)
class Swaps:
    """How many random swaps a test draws, and from which seed.

    ``first`` are drawn for every p-value, more, up to ``most``, where few of them told for it;
    those of "better" may do without, which saves most of the time where only harm is asked about.
    """

    first: int
    most: int
    seed: int
    better: bool = True

    @property
    def looks(self) -> tuple[int, ...]:
        """After how many swaps the test may stop."""
        found = [self.first]
        while found[-1] < self.most:
            found.append(min(2 * found[-1], self.most))
        return tuple(found)

    @property
    def resolution(self) -> float:
        """The smallest p-value that can come out."""
        return 1.0 / (1 + self.looks[-1])


def swap_tests(
    candidate: ScoredRows, champion: ScoredRows, gains: Mapping[str, float], swaps: Swaps
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
    swaps : Swaps
        How many; the same ones for all metrics.

    Notes
    -----
    A p-value is final at the first of ``swaps.looks`` by which ten swaps showed as much. Looking
    several times does not make it wrong more often: at any level, think of the first look whose
    final p-values, (1 + 10) / (1 + drawn) and more, begin at or below it. Those of the looks before
    lie above the level, and whatever goes on beyond it was at or below the level there too. So "at
    or below" is never more frequent than in a test of that one look.

    References
    ----------
    Noreen (1989), "Computer-intensive methods for testing hypotheses"; Yeh (2000), "More accurate
    tests for the statistical significance of result differences", COLING 2000, section 3.2.
    Besag and Clifford (1991), "Sequential Monte Carlo p-values", Biometrika 78, 301-304.
    """
    drawing = _Drawing(candidate, champion, list(gains), swaps.seed)
    open_ = {(name, side): 0 for name in gains for side in ("better", "worse")}
    found: dict[tuple[str, str], float] = {}
    drawn = 0
    for look in swaps.looks:
        for swapped in drawing.gains(look - drawn):
            for name, side in open_:
                open_[name, side] += _as_much(swapped[name], gains[name], side)
        drawn = look
        found |= {one: (1 + hits) / (1 + drawn) for one, hits in open_.items()}
        open_ = {one: hits for one, hits in open_.items() if _goes_on(one[1], hits, swaps)}
        if not open_:
            break
    return {name: (found[name, "better"], found[name, "worse"]) for name in gains}


def _goes_on(side: str, hits: int, swaps: Swaps) -> bool:
    return hits < _ENOUGH_HITS and (swaps.better or side == "worse")


def _as_much(swapped: Array, gain: float, side: str) -> int:
    """Return how many swaps show a gain, or a loss, as large as the observed one."""
    if side == "better":
        return int((swapped >= gain - _ROUNDING).sum())
    return int((swapped <= gain + _ROUNDING).sum())


class _Drawing:
    """Draws swaps of the outputs of two models, on and on; only metrics that are asked for."""

    def __init__(
        self, candidate: ScoredRows, champion: ScoredRows, names: Sequence[str], seed: int
    ) -> None:
        self.n = len(candidate)
        self.directions = {name: candidate.directions[name] for name in names}
        self.both = candidate.followed_by(champion)
        # Not the stream that draws the bootstrap rows.
        self.generator = np.random.default_rng((seed, 2))

    def gains(self, swaps: int) -> Iterator[dict[str, Array]]:
        """Yield the gain of swapped pairs in each metric, some swaps at a time."""
        for start in range(0, swaps, _CHUNK):
            size = min(_CHUNK, swaps - start)
            keep = self.generator.integers(0, 2, size=(size, self.n)).astype(np.float64)
            ours = self.both.weighted(np.hstack([keep, 1.0 - keep]))
            theirs = self.both.weighted(np.hstack([1.0 - keep, keep]))
            yield {
                name: (ours[name] - theirs[name]) * (1.0 if up else -1.0)
                for name, up in self.directions.items()
            }
