"""Searches, written as if for one row: they ask, and go on with what they are told.

A search is a generator. It yields an :class:`Ask`; the pool answers the questions of many searches
together and sends each its replies. So a search knows nothing of batches, and its path depends on
its own row, its seed and the replies only.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pipeline_steps.evaluation.attacks.goals import Judged
from pipeline_steps.evaluation.attacks.passage import Edits, Passage

VICTIM = "victim"
SALIENCY = "saliency"
NEIGHBOURS = "neighbours"
SIMILARITY = "similarity"
MASKED = "masked"
FLIPS = "flips"
READINGS = "readings"
TRIGGERS = "triggers"
UNKNOWN_WORD = "[UNK]"


@dataclass(frozen=True)
class Ask:
    """What a service is asked about candidates; ``victim`` replies with :class:`Judged`.

    ``probe``: the texts only tell which words matter. They break no constraint because they are no
    candidates, and a row that one of them breaks is not broken by the attack.
    """

    service: str
    candidates: Sequence[Edits]
    probe: bool = False


@dataclass(frozen=True)
class Found:
    """Where a search ended.

    ``exhausted``: the whole constrained space was looked at; ``broken``: the goal is reached;
    ``chosen``: ``edits`` are the result even where other candidates did more harm; ``untried``:
    there are changes, and none of them was tried.
    """

    edits: Edits
    exhausted: bool = False
    broken: bool = False
    chosen: bool = False
    untried: bool = False


@dataclass(frozen=True)
class Attempt:
    """What a search is given: a row, how the victim answered it, and its own randomness.

    ``max_words``: as many words may be changed or put in; ``None``: the search says how many.
    """

    passage: Passage
    clean: Judged
    generator: random.Random
    max_words: int | None = None


Searching = Generator[Ask, Sequence[Any], Found]
Search = Callable[[Attempt], Searching]


@dataclass(frozen=True)
class Ranked:
    """Words, the most promising first; ``decisive``: their loss alone seems to reach the goal."""

    order: Sequence[int]
    decisive: frozenset[int] = frozenset()


Ordering = Generator[Ask, Sequence[Any], Ranked]
Ranking = Callable[[Attempt, Sequence[int]], Ordering]
"""Brings words into the order in which they are to be changed."""


class Transformation(Protocol):
    """Proposes what may stand in a word's place."""

    def __call__(self, passage: Passage, word: int, generator: random.Random) -> Iterable[str]:
        """Return replacements of a word, without the word itself."""
        ...


class Constraint(Protocol):
    """Says whether a change is still allowed; looks at words only."""

    def __call__(self, passage: Passage, edits: Edits) -> bool:
        """Return whether these edits may be made."""
        ...


def by_random_order(attempt: Attempt, words: Sequence[int]) -> Ordering:
    """Return the words in a random order: no query is spent on ranking."""
    order = list(words)
    attempt.generator.shuffle(order)
    yield from ()  # a generator, like the other rankings
    return Ranked(order)


def by_gradient(attempt: Attempt, words: Sequence[int]) -> Ordering:
    """Return the words by the length of the loss's gradient at them, greatest first.

    It costs no query of the victim, and needs one whose gradients are at hand (a white box).
    """
    del attempt  # the service reads the row itself
    (lengths,) = yield Ask(SALIENCY, [{}])
    return Ranked(sorted(words, key=lambda word: (-float(lengths[word]), word)))


def by_masking(attempt: Attempt, words: Sequence[int]) -> Ordering:
    """Return the words by how much harm an unknown word in their place does, most first."""
    del attempt
    return (yield from _by_replacing(words, UNKNOWN_WORD))


def by_deletion(attempt: Attempt, words: Sequence[int]) -> Ordering:
    """Return the words by how much harm their loss does, most first (Li et al. 2016)."""
    del attempt
    return (yield from _by_replacing(words, ""))


def _by_replacing(words: Sequence[int], instead: str) -> Ordering:
    if not words:
        return Ranked([])
    replies = yield Ask(VICTIM, [{word: instead} for word in words], probe=True)
    found = dict(zip(words, replies, strict=True))
    order = sorted(words, key=lambda word: (-found[word].harm, word))
    return Ranked(order, frozenset(word for word in words if found[word].broken))


def most_harmful(replies: Sequence[Judged]) -> int:
    """Return which reply is broken, or else nearest to it; the first among equals."""
    return max(range(len(replies)), key=lambda i: (replies[i].broken, replies[i].harm, -i))
