"""Words that harm many rows alike when they stand in front of them (Wallace et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline_steps.evaluation.attacks.passage import FRONT, Row
from pipeline_steps.evaluation.attacks.search import TRIGGERS, Ask, Attempt
from pipeline_steps.evaluation.attacks.space import Proposing
from pipeline_steps.problems.problem import Noise, Problem

Words = tuple[str, ...]
Proposer = Callable[[Words], Sequence[Sequence[str]]]
"""For each place of a trigger, words that may do more harm there, the most promising first."""
Harm = Callable[[Sequence[Words]], Sequence[float]]
"""The mean harm of each of several triggers."""

_START = "the"
_LENGTH, _TRIED, _ROUNDS = 3, 10, 3


class Preceding:
    """Rows in front of whose text something may be put; the text itself stays.

    Parameters
    ----------
    problem : Problem
        Text classification.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def noisy(self, row: Row, noise: Noise, /) -> dict[str, Any]:
        """Return the row with more in front of its text."""
        return {**row, "text": noise(row["text"], FRONT)}

    def find_flaws(self, row: Row, /) -> Sequence[str]:
        """Return why a row cannot be used."""
        return self.problem.find_flaws(row)


@dataclass(frozen=True)
class Triggers:
    """The triggers that were found on other rows, each before a blank."""

    def options(self, attempt: Attempt) -> Proposing:
        """Return what may stand in front of the row."""
        (found,) = yield Ask(TRIGGERS, [{}])
        return [[preceding(words, "") for words in found] for _ in attempt.passage.words]


def preceding(words: Words, text: str) -> str:
    """Return a text behind a trigger.

    Examples
    --------
    >>> preceding(("zoning", "tapping"), "a good film")
    'zoning tapping a good film'
    """
    return " ".join([*words, text])


def find_trigger(propose: Proposer, harm: Harm) -> Words:
    """Return three words that do more harm in front of rows than any that were tried beside them.

    From "the the the", place by place: of the ten words with the greatest first-order gain the one
    that truly does most harm is taken, if it does more than the present one; up to three rounds, or
    until a round changes nothing.
    """
    words: Words = (_START,) * _LENGTH
    (best,) = harm([words])
    for _ in range(_ROUNDS):
        before = words
        for place in range(_LENGTH):
            tried = [
                (*words[:place], new, *words[place + 1 :]) for new in propose(words)[place][:_TRIED]
            ]
            found = harm(tried) if tried else []
            if tried and max(found) > best:
                best = max(found)
                words = tried[list(found).index(best)]
        if words == before:
            break
    return words
