"""When a row counts as broken, and how near an answer is to that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pipeline_steps.problems.problem import StructuredProblem

Array = np.ndarray[Any, Any]
SURENESS = 1e-3  # of the model counts for less than any difference in the answer itself


@dataclass(frozen=True)
class Answer:
    """What a victim says of a row.

    ``truth`` and ``predicted`` are written as in predictions files; ``probabilities`` (n_labels,)
    is ``None`` where an answer is more than one label, or the victim does not tell them;
    ``confidence`` is that of the whole answer, not a number where it is not told either.
    ``clean``: what it said of the unchanged row, where the goal asks for that.
    """

    truth: str
    predicted: str
    confidence: float
    probabilities: Array | None = None
    clean: str | None = None


@dataclass(frozen=True)
class Judged:
    """Whether a goal is reached, and how near it is: the greater the harm, the nearer."""

    broken: bool
    harm: float


class Goal(Protocol):
    """What an attack wants."""

    def judge(self, answer: Answer) -> Judged:
        """Return how far an answer is what the attack wants."""
        ...

    def lost(self, clean: Answer) -> bool:
        """Return whether a row is answered wrongly as it stands, and so not attacked."""
        return self.judge(clean).broken


@dataclass(frozen=True)
class WrongLabel(Goal):
    """Any label but the true one; harm is the probability of the others."""

    labels: tuple[str, ...]

    def judge(self, answer: Answer) -> Judged:
        """Return whether the label is wrong."""
        wrong = answer.predicted != answer.truth
        if answer.probabilities is None:
            return Judged(wrong, 1.0 - _share_of(answer, answer.truth))
        truth = self.labels.index(answer.truth) if answer.truth in self.labels else -1
        kept = float(answer.probabilities[truth]) if truth >= 0 else 0.0
        return Judged(wrong, 1.0 - kept)


@dataclass(frozen=True)
class ThisLabel(Goal):
    """One label that the attacker wants on rows that truly have another one."""

    labels: tuple[str, ...]
    wanted: str

    def judge(self, answer: Answer) -> Judged:
        """Return whether the label is the wanted one."""
        if answer.probabilities is None:
            harm = _share_of(answer, self.wanted)
        else:
            harm = float(answer.probabilities[self.labels.index(self.wanted)])
        return Judged(answer.predicted == self.wanted, harm)

    def lost(self, clean: Answer) -> bool:
        """Return whether the label of a row is wrong as it stands, whichever wrong one it is."""
        return clean.predicted != clean.truth


def _share_of(answer: Answer, label: str) -> float:
    """Return the probability of a label as far as a label and its score tell it.

    Of another label than the answer they say only that it has at most the rest; an answer without
    a score says nothing but itself.
    """
    sure = 1.0 if np.isnan(answer.confidence) else answer.confidence
    return sure if answer.predicted == label else 1.0 - sure


def doubt(answer: Answer) -> float:
    """Return how unsure an answer is, as a harm that only decides between equal ones."""
    return SURENESS * (1.0 - float(np.nan_to_num(answer.confidence, nan=1.0)))


@dataclass(frozen=True)
class WrongAnswer(Goal):
    """A structured answer that is not exactly the truth, or whose score falls to a bound.

    Parameters
    ----------
    problem : StructuredProblem
        Scores one answer.
    metric : str
        The score, greater is better, in [0, 1].
    bound : float
        Broken is what scores at most this.
    """

    problem: StructuredProblem
    metric: str
    bound: float

    def judge(self, answer: Answer) -> Judged:
        """Return whether the score is at the bound or below; sureness decides between equals."""
        value = self._score(answer)
        return Judged(value <= self.bound, 1.0 - value + doubt(answer))

    def _score(self, answer: Answer) -> float:
        """Return the score of one answer; where it is undefined, whether the answer is right."""
        statistics = self.problem.statistics([answer.truth], [answer.predicted])
        right = float(statistics.correct[0])
        if self.metric in statistics.shares:  # a share of right answers: none of the sums
            return right
        sums = np.ones((1, 1)) @ statistics.counts  # dense, also where the counts are sparse
        score = statistics.metrics(sums, np.ones(1))[self.metric]
        return float(np.nan_to_num(np.ravel(score)[0], nan=right))
