"""Probability weighted word saliency (Ren et al. 2019)."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline_steps.evaluation.attacks.goals import Judged
from pipeline_steps.evaluation.attacks.passage import Edits
from pipeline_steps.evaluation.attacks.search import (
    UNKNOWN_WORD,
    VICTIM,
    Ask,
    Attempt,
    Found,
    Searching,
    most_harmful,
)
from pipeline_steps.evaluation.attacks.space import OpenSpace, Space

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class WeightedSaliency:
    """The best replacement of each word, made in the order of saliency times gain."""

    space: Space

    def __call__(self, attempt: Attempt) -> Searching:
        """Return the edits up to the one that breaks the row."""
        opened = yield from self.space.open(attempt)
        if not opened.words:
            return Found({})
        everywhere = range(len(attempt.passage))
        unknown = yield Ask(VICTIM, [{word: UNKNOWN_WORD} for word in everywhere], probe=True)
        saliency = np.array([reply.harm for reply in unknown]) - attempt.clean.harm
        best = yield from _best_replacements(opened, attempt.clean)
        weights = softmax(saliency)
        order = sorted(best, key=lambda word: (-weights[word] * best[word][1], word))
        edits: dict[int, str] = {}
        for word in order:
            candidates = yield from opened.allowed([{**edits, word: best[word][0]}])
            if not candidates:
                continue
            edits = dict(candidates[0])
            (reply,) = yield Ask(VICTIM, candidates)
            if reply.broken:
                return Found(edits, broken=True)
        return Found(edits)


def softmax(saliency: Array) -> Array:
    """Return the weights of words (n_words,), which sum to 1 (equation 5 of the paper)."""
    powers = np.exp(saliency - saliency.max())
    weights: Array = powers / powers.sum()
    return weights


def _best_replacements(
    opened: OpenSpace, clean: Judged
) -> Generator[Ask, Sequence[Any], dict[int, tuple[str, float]]]:
    """Return word -> its most harmful replacement and what that gains (equations 2 to 4)."""
    candidates: list[Edits] = yield from opened.changes({}, opened.words)
    if not candidates:
        return {}
    replies: Sequence[Judged] = yield Ask(VICTIM, candidates)
    by_word: dict[int, list[int]] = {}
    for index, edits in enumerate(candidates):
        by_word.setdefault(next(iter(edits)), []).append(index)
    best = {}
    for word, which in by_word.items():
        top = which[most_harmful([replies[i] for i in which])]
        best[word] = (candidates[top][word], replies[top].harm - clean.harm)
    return best
