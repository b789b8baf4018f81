"""Searches that keep one text or a few, and change one more word at a time."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from pipeline_steps.evaluation.attacks.goals import Judged
from pipeline_steps.evaluation.attacks.passage import Edits
from pipeline_steps.evaluation.attacks.search import (
    VICTIM,
    Ask,
    Attempt,
    Found,
    Ranking,
    Searching,
    by_masking,
    most_harmful,
)
from pipeline_steps.evaluation.attacks.space import Space


@dataclass(frozen=True)
class Greedy:
    """Word by word in the order of a ranking, keeping the most harmful change of each.

    As in Gao et al. (2018) and Jin et al. (2020): a change that does no harm is not kept, and the
    search ends with the first word whose change reaches the goal.
    """

    space: Space
    ranking: Ranking = by_masking

    def __call__(self, attempt: Attempt) -> Searching:
        """Return the edits found; the space is never exhausted."""
        opened = yield from self.space.open(attempt)
        ranked = yield from self.ranking(attempt, opened.words)
        edits: Edits = {}
        harm = attempt.clean.harm
        for word in ranked.order:
            candidates = yield from opened.changes(edits, [word])
            if not candidates:
                continue
            asked, replies = yield from _replies(candidates, hopeful=word in ranked.decisive)
            best = most_harmful(replies)
            if replies[best].broken:
                return Found(asked[best], broken=True)
            if replies[best].harm > harm:
                edits, harm = asked[best], replies[best].harm
        return Found(edits)


@dataclass(frozen=True)
class Beam:
    """The ``width`` most harmful texts, each changed in every other word, round by round.

    With ``width`` 1 it is the greedy search over all words (Pruthi et al. 2019). One round of a
    complete space looks at every change of one word, so it exhausts what ``max_edits`` 1 allows.
    """

    space: Space
    width: int = 4
    max_edits: int = 5

    def __call__(self, attempt: Attempt) -> Searching:
        """Return the most harmful edits of the last round."""
        opened = yield from self.space.open(attempt)
        beam: list[Edits] = [{}]
        for _ in range(self.max_edits):
            candidates: list[Edits] = []
            for edits in beam:
                free = [word for word in opened.words if word not in edits]
                candidates += yield from opened.changes(edits, free)
            candidates = different(candidates)
            if not candidates:
                break
            replies: Sequence[Judged] = yield Ask(VICTIM, candidates)
            best = most_harmful(replies)
            if replies[best].broken:
                return Found(candidates[best], broken=True)
            order = sorted(range(len(candidates)), key=lambda i: (-replies[i].harm, i))
            beam = [candidates[i] for i in order[: self.width]]
        return Found(beam[0], exhausted=self.space.complete and self.max_edits == 1)


def _replies(
    candidates: Sequence[Edits], *, hopeful: bool
) -> Generator[Ask, Sequence[Judged], tuple[Sequence[Edits], Sequence[Judged]]]:
    """Return candidates with their replies; where hope is high, the first is asked about alone.

    If that one reaches the goal the others need no query, and what becomes of the row is the same.
    """
    if not hopeful:
        return candidates, (yield Ask(VICTIM, candidates))
    first = yield Ask(VICTIM, candidates[:1])
    if first[0].broken or len(candidates) == 1:
        return candidates[:1], first
    rest = yield Ask(VICTIM, candidates[1:])
    return candidates, [*first, *rest]


def different(candidates: Sequence[Edits]) -> list[Edits]:
    """Return candidates, each once, in the order in which they first stand."""
    return list({tuple(sorted(edits.items())): edits for edits in candidates}.values())
