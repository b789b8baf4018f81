"""What a search may try on a row: replacements of each word, and what a change must keep."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from pipeline_steps.evaluation.attacks.constraints import changed_words
from pipeline_steps.evaluation.attacks.passage import Edits, Passage
from pipeline_steps.evaluation.attacks.search import (
    SIMILARITY,
    Ask,
    Attempt,
    Constraint,
    Transformation,
)

Options = Sequence[Sequence[str]]
"""For each word of a row, what may stand in its place."""
Proposing = Generator[Ask, Sequence[Any], Options]
Allowing = Generator[Ask, Sequence[Any], list[Edits]]


@runtime_checkable
class Source(Protocol):
    """Proposes replacements of all words of a row at once, with the help of a service."""

    def options(self, attempt: Attempt) -> Proposing:
        """Return what may stand in the place of each word."""
        ...


@dataclass(frozen=True)
class AnyOf:
    """What any of several transformations and sources proposes."""

    parts: tuple[Transformation | Source, ...]

    def options(self, attempt: Attempt) -> Proposing:
        """Return the proposals of all parts, in their order."""
        found: list[Options] = []
        for part in self.parts:
            found.append((yield from _proposals(part, attempt)))  # noqa: PERF401 - it yields
        return [[new for some in several for new in some] for several in zip(*found, strict=True)]


@dataclass(frozen=True)
class Space:
    """The candidates of a search.

    Parameters
    ----------
    source : Transformation or Source
        Proposes replacements, once for each word of a row: a word is never changed twice.
    constraints : tuple of Constraint
        What any change must keep. What they forbid of one word they must forbid of several.
    min_similarity : float, optional
        Cosine of the sentence vectors of the changed and the original row, by a service.
    complete : bool
        Whether the source lists all its replacements and draws none: only then may a search that
        has seen them all call a row unbroken.
    """

    source: Transformation | Source
    constraints: tuple[Constraint, ...] = ()
    min_similarity: float | None = None
    complete: bool = False

    def open(self, attempt: Attempt) -> Generator[Ask, Sequence[Any], OpenSpace]:
        """Return the space of one row; words that cannot be changed have no options."""
        proposed = yield from _proposals(self.source, attempt)
        passage = attempt.passage
        options = [
            tuple(new for new in dict.fromkeys(several) if self._may(passage, word, new))
            for word, several in enumerate(proposed)
        ]
        return OpenSpace(self, passage, tuple(options), attempt.max_words)

    def _may(self, passage: Passage, word: int, new: str) -> bool:
        return new != passage.words[word].text and self.keeps(passage, {word: new})

    def keeps(self, passage: Passage, edits: Edits) -> bool:
        """Return whether edits keep all that can be said from words alone."""
        return all(rule(passage, edits) for rule in self.constraints)


@dataclass(frozen=True)
class OpenSpace:
    """The space of one row, with how many words may be changed at most, where that is said."""

    space: Space
    passage: Passage
    options: tuple[tuple[str, ...], ...]
    max_words: int | None = None

    @property
    def words(self) -> list[int]:
        """The words that can be changed."""
        return [word for word, several in enumerate(self.options) if several]

    def changes(self, edits: Edits, words: Sequence[int]) -> Allowing:
        """Return what edits may become by one more change, to one of ``words``."""
        candidates = [{**edits, word: new} for word in words for new in self.options[word]]
        return (yield from self.allowed(candidates))

    def keeps(self, edits: Edits) -> bool:
        """Return whether edits keep all that can be said from words alone, their number too."""
        few = self.max_words is None or changed_words(self.passage, edits) <= self.max_words
        return few and self.space.keeps(self.passage, edits)

    def allowed(self, candidates: Sequence[Edits]) -> Allowing:
        """Return the candidates that keep everything."""
        kept = [c for c in candidates if self.keeps(c)]
        least = self.space.min_similarity
        if least is None or not kept:
            return kept
        cosines = yield Ask(SIMILARITY, kept)
        return [c for c, cosine in zip(kept, cosines, strict=True) if cosine >= least]


def _proposals(source: Transformation | Source, attempt: Attempt) -> Proposing:
    if isinstance(source, Source):
        return (yield from source.options(attempt))
    passage = attempt.passage
    return [list(source(passage, word, attempt.generator)) for word in range(len(passage))]
