"""Other words in a word's place, as services know them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline_steps.evaluation.attacks.search import MASKED, NEIGHBOURS, Ask, Attempt
from pipeline_steps.evaluation.attacks.space import Options, Proposing
from pipeline_steps.noise.word_forms import are_opposites, like_cased, same_lemma

Scored = Sequence[tuple[str, float]]
"""Words with how well they fit, the best first."""


@dataclass(frozen=True)
class Neighbours:
    """Words whose vectors are near a word's; no inflections of it and no opposites.

    Parameters
    ----------
    most : int
        Neighbours of a word.
    min_cosine : float
        Of the vectors.
    """

    most: int = 12
    min_cosine: float = 0.4

    def options(self, attempt: Attempt) -> Proposing:
        """Return the neighbours of each word, the nearest first, in its case."""
        (found,) = yield Ask(NEIGHBOURS, [{}])
        near = [[new for new, cosine in some if cosine >= self.min_cosine] for some in found]
        return _fitting(attempt, near, self.most)


@dataclass(frozen=True)
class MaskedWords:
    """What a masked language model says in a word's place (Garg and Ramakrishnan 2020)."""

    most: int = 12

    def options(self, attempt: Attempt) -> Proposing:
        """Return the most probable whole words for each place, the most probable first."""
        (found,) = yield Ask(MASKED, [{}])
        return _fitting(attempt, [[new for new, _ in some] for some in found], self.most)


def _fitting(attempt: Attempt, found: Sequence[Sequence[str]], most: int) -> Options:
    options = []
    for word, several in zip(attempt.passage.spellings, found, strict=True):
        kept = [
            new for new in several if not same_lemma(word, new) and not are_opposites(word, new)
        ]
        options.append([like_cased(new, word) for new in kept[:most]])
    return options
