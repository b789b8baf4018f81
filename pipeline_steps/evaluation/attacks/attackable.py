"""Which words of a row an attack may change: all that a problem offers, or a part of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pipeline_steps.errors import ConfigurationError
from pipeline_steps.evaluation.attacks.passage import Row
from pipeline_steps.problems.problem import AttackableProblem, Noise, Problem

Words = Literal["all", "context", "named"]


class Attackable:
    """The words of a problem's rows that are not frozen.

    Parameters
    ----------
    problem : Problem
        Whose rows are attacked; one that is no :class:`AttackableProblem` offers what noise is put
        on.
    words : str
        ``named``: only those of what is asked about (entities, spans, the question); ``context``:
        all others.

    Raises
    ------
    ConfigurationError
        If nothing is named in the rows of the problem.
    """

    def __init__(self, problem: Problem, words: Words = "all") -> None:
        if words != "all" and not isinstance(problem, AttackableProblem):
            raise ConfigurationError(
                f"attack.words is {words}, and rows of {problem.name} name nothing",
                expected="ner, relation_extraction or question_answering; for others: all",
                fix="set attack.words to all",
            )
        self.problem = problem
        self.words = words

    def noisy(self, row: Row, noise: Noise, /) -> dict[str, Any]:
        """Return the row with its free words changed; its target still fits."""
        problem = self.problem
        if not isinstance(problem, AttackableProblem):
            return problem.noisy(row, noise)
        if self.words == "all":
            return problem.attackable(row, noise)
        named, wanted = problem.named_places(row), self.words == "named"
        return problem.attackable(
            row, lambda text, place: noise(text, place) if (place in named) == wanted else text
        )

    def find_flaws(self, row: Row, /) -> Sequence[str]:
        """Return why a row cannot be used."""
        return self.problem.find_flaws(row)
