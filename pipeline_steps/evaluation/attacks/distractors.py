"""The attack with sentences that look as if they answered a question (Jia and Liang 2017, AddSent).

The sentences are those of :mod:`pipeline_steps.problems.distracting_sentences`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline_steps.evaluation.attacks.passage import SLOT, Passage, Row
from pipeline_steps.problems.distracting_sentences import distractors
from pipeline_steps.problems.problem import Noise, Problem
from pipeline_steps.problems.question_answering import answers


class Distracting:
    """Rows of question answering to whose context a sentence may be added at the end.

    Parameters
    ----------
    problem : Problem
        Question answering.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def noisy(self, row: Row, noise: Noise, /) -> dict[str, Any]:
        """Return the row with more behind its context; the answers stand where they stood."""
        return {**row, "text": noise(row["text"], SLOT)}

    def find_flaws(self, row: Row, /) -> Sequence[str]:
        """Return why a row cannot be used."""
        return self.problem.find_flaws(row)


@dataclass(frozen=True)
class Distractors:
    """Different distractors of a row's question, drawn from short lists of names and things."""

    most: int = 10

    def __call__(self, passage: Passage, word: int, generator: random.Random) -> Iterator[str]:
        """Yield sentences, each behind a blank; none holds a true answer."""
        del word  # there is one place only
        question = passage.row["text_pair"]
        true = [said for said, _ in answers(passage.row["target"])]
        for sentence in distractors(question, true, generator, self.most):
            yield f" {sentence}"
