"""When a written text counts as broken by what the same model wrote before."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline_steps.evaluation.attacks.goals import Answer, Goal, Judged, doubt
from pipeline_steps.evaluation.attacks.oracle import Victim, content_key
from pipeline_steps.evaluation.attacks.passage import Row


@dataclass(frozen=True)
class Drift(Goal):
    """A text that shares few words with the one that the unchanged row got.

    After the non-overlapping attack of Cheng et al. (2020, Seq2Sick), which compares word by word
    at the same position; here a shift by one word is no drift: the overlap is the F1 of both bags
    of words. It asks for no truth, so no row is wrong from the start.

    Parameters
    ----------
    bound : float
        The overlap at and below which a row is broken; 0: no word is shared, 1: any other text.
    """

    bound: float = 0.0

    def judge(self, answer: Answer) -> Judged:
        """Return whether another text shares so few words with the clean one."""
        assert answer.clean is not None  # noqa: S101 - BesideClean says it
        before, now = _text(answer.clean), _text(answer.predicted)
        overlap = word_overlap(before, now)
        return Judged(now != before and overlap <= self.bound, 1.0 - overlap + doubt(answer))


class BesideClean:
    """A victim whose answers carry what it said of the unchanged row.

    Parameters
    ----------
    victim : callable
        Answers rows.
    rows : sequence of mapping
        The unchanged rows.
    """

    def __init__(self, victim: Victim, rows: Sequence[Row]) -> None:
        said = victim(rows)
        self.victim = victim
        self.clean = {
            row["example_id"]: answer.predicted for row, answer in zip(rows, said, strict=True)
        }

    def __call__(self, rows: Sequence[Row]) -> list[Answer]:
        """Return the answers to rows, in their order."""
        return [
            replace(answer, clean=self.clean[row["example_id"]])
            for row, answer in zip(rows, self.victim(rows), strict=True)
        ]


def row_key(row: Row) -> str:
    """Return a name for what is read of a row and for the row: two may become the same text."""
    return f"{row['example_id']} {content_key(row)}"


def word_overlap(first: str, second: str) -> float:
    """Return the F1 of the words of two texts, with their numbers; that of two empty ones is 1.

    Examples
    --------
    >>> word_overlap("the red house", "The house is red .")
    0.75
    """
    bags = [Counter(text.casefold().split()) for text in (first, second)]
    total = sum(bag.total() for bag in bags)
    return 2.0 * (bags[0] & bags[1]).total() / total if total else 1.0


def _text(written: str) -> str:
    return str(json.loads(written)["text"])
