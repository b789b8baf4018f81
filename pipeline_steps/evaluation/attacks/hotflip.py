"""Flips of words that a gradient points to (Ebrahimi et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline_steps.evaluation.attacks.goals import Judged
from pipeline_steps.evaluation.attacks.passage import Edits
from pipeline_steps.evaluation.attacks.search import (
    FLIPS,
    VICTIM,
    Ask,
    Attempt,
    Found,
    Searching,
    most_harmful,
)
from pipeline_steps.evaluation.attacks.space import Space
from pipeline_steps.noise.word_forms import are_opposites, like_cased


@dataclass(frozen=True)
class HotFlip:
    """Round by round, the flips with the greatest first-order gain; the victim decides among them.

    Parameters
    ----------
    space : Space
        Whose constraints flips keep; where it proposes anything, flips are among its proposals.
    tried : int
        Flips of a round that the victim is asked about.
    max_edits : int
        Rounds: each changes one more word.
    """

    space: Space
    tried: int = 10
    max_edits: int = 10

    def __call__(self, attempt: Attempt) -> Searching:
        """Return the edits up to the one that breaks the row."""
        opened = yield from self.space.open(attempt)
        edits: Edits = {}
        harm = attempt.clean.harm
        for _ in range(self.max_edits):
            (gains,) = yield Ask(FLIPS, [edits])
            flips = self._best(attempt, edits, gains)
            candidates = yield from opened.allowed(flips)
            candidates = candidates[: self.tried]
            if not candidates:
                break
            replies: Sequence[Judged] = yield Ask(VICTIM, candidates)
            best = most_harmful(replies)
            if replies[best].broken:
                return Found(candidates[best], broken=True)
            if replies[best].harm <= harm:
                break
            edits, harm = candidates[best], replies[best].harm
        return Found(edits)

    def _best(
        self, attempt: Attempt, edits: Edits, gains: Sequence[Sequence[tuple[str, float]]]
    ) -> Sequence[Edits]:
        """Return the flips of words not yet changed, the greatest gain first."""
        words = attempt.passage.spellings
        found = [
            (-gain, word, like_cased(new, words[word]))
            for word, several in enumerate(gains)
            if word not in edits
            for new, gain in several
            if gain > 0 and not are_opposites(words[word], new)
        ]
        return [
            {**edits, word: new}
            for _, word, new in sorted(found)
            if new.lower() != words[word].lower()
        ][: 4 * self.tried]
