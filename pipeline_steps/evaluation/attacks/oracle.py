"""Who answers an attack: an exact victim, perhaps a cheap scout, and what they said already."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipeline_steps.evaluation.attacks.goals import Answer, Goal, Judged
from pipeline_steps.evaluation.attacks.passage import Row

Victim = Callable[[Sequence[Row]], Sequence[Answer]]
"""Answers rows, in their order."""


@dataclass
class Tally:
    """What was asked so far.

    ``n_queries`` by the searches; ``n_scouted`` and ``n_exact``: different texts that the scout
    and the exact victim read.
    """

    n_queries: int = 0
    n_scouted: int = 0
    n_exact: int = 0


@dataclass
class AnswerBook:
    """Answers of one victim by what it reads, or by another key; it may outlive an attack."""

    victim: Victim
    answers: dict[str, Answer] = field(default_factory=dict)
    key: Callable[[Row], str] | None = None

    def look_up(self, rows: Sequence[Row]) -> tuple[list[Answer], int]:
        """Return the answers to rows, and how many of them were new: no text is asked twice."""
        keys = [(self.key or content_key)(row) for row in rows]
        new = {key: row for key, row in zip(keys, rows, strict=True) if key not in self.answers}
        if new:
            self.answers.update(zip(new, self.victim(list(new.values())), strict=True))
        return [self.answers[key] for key in keys], len(new)


@dataclass
class Question:
    """The candidates of one search, what is said of them, and which claims are still to be proven.

    ``claims``: candidates that a scout takes for broken, the most harmful first. ``probe``: none of
    them is a result, so nothing is claimed.
    """

    rows: Sequence[Row]
    probe: bool = False
    judged: list[Judged] = field(default_factory=list)
    claims: list[int] = field(default_factory=list)


class Oracle:
    """Answers candidates by the scout, and every claim that one is broken by the exact victim.

    Parameters
    ----------
    goal : Goal
        What counts as broken.
    exact : AnswerBook
        Of the victim that is judged.
    scout : AnswerBook, optional
        Of a cheaper copy of it (bf16, int8), which only says where to look.
    """

    def __init__(self, goal: Goal, exact: AnswerBook, scout: AnswerBook | None = None) -> None:
        self.goal = goal
        self.book = exact
        self.scout = scout
        self.tally = Tally()

    def exact(self, rows: Sequence[Row]) -> list[Answer]:
        """Return the answers of the victim that is judged."""
        answers, n_new = self.book.look_up(rows)
        self.tally.n_exact += n_new
        return answers

    def answer(self, questions: Sequence[Question]) -> None:
        """Judge the rows of questions; what a scout says is broken becomes a claim."""
        rows = [row for question in questions for row in question.rows]
        self.tally.n_queries += len(rows)
        if self.scout is None:
            answers = self.exact(rows)
        else:
            answers, n_new = self.scout.look_up(rows)
            self.tally.n_scouted += n_new
        judged = map(self.goal.judge, answers)
        for question in questions:
            question.judged = list(itertools.islice(judged, len(question.rows)))
            if self.scout is not None and not question.probe:
                question.claims = _claims(question.judged)

    def settle(self, questions: Sequence[Question]) -> None:
        """Ask the exact victim about the best claim of each until one holds, or none is left.

        The claims behind one that holds are not looked into, and do not count as broken.
        """
        while claimed := [question for question in questions if question.claims]:
            best = [question.claims.pop(0) for question in claimed]
            rows = [q.rows[i] for q, i in zip(claimed, best, strict=True)]
            for question, i, answer in zip(claimed, best, self.exact(rows), strict=True):
                question.judged[i] = self.goal.judge(answer)
                if question.judged[i].broken:
                    _drop_claims(question)


def _drop_claims(question: Question) -> None:
    for i in question.claims:
        question.judged[i] = Judged(broken=False, harm=question.judged[i].harm)
    question.claims = []


def _claims(judged: Sequence[Judged]) -> list[int]:
    """Return which candidates are said to be broken, the most harmful first."""
    claimed = [i for i, found in enumerate(judged) if found.broken]
    return sorted(claimed, key=lambda i: (-judged[i].harm, i))


def content_key(row: Row) -> str:
    """Return a name for what a victim reads of a row, and is held against."""
    return json.dumps([row["text"], row["text_pair"], row["target"], row["label"]])
