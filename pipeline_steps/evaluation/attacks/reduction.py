"""How few words a prediction needs (Feng et al. 2018, Pathologies of neural models)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline_steps.evaluation.attacks.goals import Judged
from pipeline_steps.evaluation.attacks.passage import Edits
from pipeline_steps.evaluation.attacks.search import VICTIM, Ask, Attempt, Found, Searching
from pipeline_steps.evaluation.attacks.space import Space


@dataclass(frozen=True)
class Reduction:
    """Takes words away one by one, the least harmful first, while the answer stays right.

    It breaks nothing: what it tells is the text that is left, on which a model that reads like a
    person would not be as sure. At least ``min_words`` words stay. A row whose budget ends before
    the search does keeps its words.
    """

    space: Space
    min_words: int = 1

    def __call__(self, attempt: Attempt) -> Searching:
        """Return the losses that the answer survives."""
        opened = yield from self.space.open(attempt)
        edits: Edits = {}
        while len(attempt.passage) - len(edits) > self.min_words:
            free = [word for word in opened.words if word not in edits]
            candidates = yield from opened.changes(edits, free)
            if not candidates:
                break
            replies: Sequence[Judged] = yield Ask(VICTIM, candidates, probe=True)
            kept = [i for i, reply in enumerate(replies) if not reply.broken]
            if not kept:
                break
            edits = candidates[min(kept, key=lambda i: (replies[i].harm, i))]
        return Found(edits, chosen=True)
