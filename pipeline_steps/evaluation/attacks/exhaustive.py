"""Searches that prove: all that the constraints allow is tried, where it is little enough."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline_steps.evaluation.attacks.goals import Judged
from pipeline_steps.evaluation.attacks.passage import Edits
from pipeline_steps.evaluation.attacks.search import (
    VICTIM,
    Ask,
    Attempt,
    Found,
    Search,
    Searching,
    most_harmful,
)
from pipeline_steps.evaluation.attacks.space import OpenSpace, Space

_AT_ONCE = 256  # candidates of one row in a question; a found break ends the search after it


@dataclass(frozen=True)
class Exhaustive:
    """Every change of up to ``max_edits`` words, fewest first; nothing where there are too many.

    A row that survives is unbroken within this space, which is a proof and not an estimate. It
    says nothing of replacements that the space does not list, and nothing of a row for which it
    lists none.

    Parameters
    ----------
    space : Space
        A complete one; of another, a survivor is only unknown.
    max_edits : int
        Words changed at once.
    cap : int
        The most candidates of a row that are enumerated.
    """

    space: Space
    max_edits: int = 1
    cap: int = 5_000

    def __call__(self, attempt: Attempt) -> Searching:
        """Return the first change that breaks the row, or that there is none."""
        opened = yield from self.space.open(attempt)
        if size(opened.options, self.max_edits) > self.cap:
            return Found({}, untried=True)
        everything = _combinations(opened, self.max_edits)
        while several := list(itertools.islice(everything, _AT_ONCE)):
            candidates = yield from opened.allowed(several)
            if not candidates:
                continue
            replies: Sequence[Judged] = yield Ask(VICTIM, candidates)
            best = most_harmful(replies)
            if replies[best].broken:
                return Found(candidates[best], broken=True)
        return Found({}, exhausted=self.space.complete)


@dataclass(frozen=True)
class Cascade:
    """A cheap search, and a strong one for what survives it.

    A row that the cheap search breaks never costs the strong one's queries.
    """

    cheap: Search
    strong: Search

    def __call__(self, attempt: Attempt) -> Searching:
        """Return what the first search that breaks the row finds."""
        found = yield from self.cheap(attempt)
        if found.broken:
            return found
        return (yield from self.strong(attempt))


def size(options: Sequence[Sequence[str]], max_edits: int) -> int:
    """Return how many ways there are to change one to ``max_edits`` words.

    The sum of the elementary symmetric polynomials of the numbers of options.
    """
    ways = [1] + [0] * max_edits
    for several in options:
        for n in range(max_edits, 0, -1):
            ways[n] += ways[n - 1] * len(several)
    return sum(ways[1:])


def _combinations(opened: OpenSpace, max_edits: int) -> Iterator[Edits]:
    for n in range(1, max_edits + 1):
        for words in itertools.combinations(opened.words, n):
            for news in itertools.product(*(opened.options[word] for word in words)):
                yield dict(zip(words, news, strict=True))
