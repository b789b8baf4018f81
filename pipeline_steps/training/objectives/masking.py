"""Which tokens of a row are hidden in an epoch, for masked language modelling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline_steps.training.objectives.losses import IGNORED

_HIDDEN = 0.8
_RANDOM = 0.1


@dataclass(frozen=True)
class Masking:
    """15 % of the tokens are to be told; of these 80 % are hidden, 10 % replaced, 10 % left.

    Devlin et al. 2019 (NAACL, arXiv 1810.04805), section 3.1 and appendix A.1. As in their code a
    row has a fixed number of such tokens, at least one, and the choice of whole words goes by words
    while each token is hidden, replaced or left by itself. As Liu et al. 2019 (RoBERTa) the choice
    is anew in each epoch. Deviation: replacements are never special tokens.

    Parameters
    ----------
    mask_id : int
        What a hidden token becomes.
    special_ids : frozenset of int
        Tokens that are never chosen.
    vocabulary_size : int
        Replacements are drawn below it.
    share : float
        Of the tokens of a row that are no special ones.
    whole_words : bool
        Whether the tokens of a word are chosen together (Cui et al. 2021, arXiv 1906.08101).
    """

    mask_id: int
    special_ids: frozenset[int]
    vocabulary_size: int
    share: float = 0.15
    whole_words: bool = False

    def masked(
        self,
        ids: Sequence[int],
        seed: Sequence[int],
        words: Sequence[int | None] | None = None,
    ) -> tuple[list[int], list[int]]:
        """Return a row's input ids, and its labels: -100 where nothing is asked.

        Parameters
        ----------
        ids : sequence of int
            Token ids of the row.
        seed : sequence of int
            Whoever gives (seed, epoch, row) can resume in the middle of an epoch exactly.
        words : sequence of int or None, optional
            The word of each token, as a fast tokenizer's ``word_ids`` tells; for whole words.
        """
        tokens = np.array(ids)
        random = np.random.default_rng(list(seed))
        chosen = self._chosen(tokens, words, random)
        labels = np.full_like(tokens, IGNORED)
        labels[chosen] = tokens[chosen]
        fate = random.random(len(chosen))
        tokens[chosen[fate < _HIDDEN]] = self.mask_id
        replaced = chosen[(fate >= _HIDDEN) & (fate < _HIDDEN + _RANDOM)]
        tokens[replaced] = random.choice(self._ordinary, len(replaced))
        return tokens.tolist(), labels.tolist()

    @cached_property
    def _ordinary(self) -> np.ndarray:
        return np.setdiff1d(np.arange(self.vocabulary_size), [*self.special_ids, self.mask_id])

    @cached_property
    def _special(self) -> np.ndarray:
        return np.array(sorted(self.special_ids))

    def _chosen(
        self, tokens: np.ndarray, words: Sequence[int | None] | None, random: np.random.Generator
    ) -> np.ndarray:
        """Return the positions to be told."""
        candidates = np.flatnonzero(~np.isin(tokens, self._special))
        if not len(candidates):  # a row of special tokens only
            return candidates
        count = max(1, round(self.share * len(candidates)))
        if not self.whole_words or words is None:
            return random.permutation(candidates)[:count]
        return _whole_words(candidates, words, count, random)


def _whole_words(
    candidates: np.ndarray,
    words: Sequence[int | None],
    count: int,
    random: np.random.Generator,
) -> np.ndarray:
    """Return the positions of random words, at most ``count`` unless the first word has more."""
    groups: dict[int, list[int]] = {}
    for position in candidates.tolist():
        word = words[position]
        # A token outside every word (a separator) is a word of its own.
        groups.setdefault(-1 - position if word is None else word, []).append(position)
    members = list(groups.values())
    chosen: list[int] = []
    for index in random.permutation(len(members)):
        if not chosen or len(chosen) + len(members[index]) <= count:
            chosen.extend(members[index])
    return np.array(chosen)
