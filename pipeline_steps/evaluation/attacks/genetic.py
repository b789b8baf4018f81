"""A population of texts that mutate and cross (Alzantot et al. 2018)."""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline_steps.evaluation.attacks.goals import Judged
from pipeline_steps.evaluation.attacks.passage import Edits
from pipeline_steps.evaluation.attacks.search import (
    VICTIM,
    Ask,
    Attempt,
    Found,
    Searching,
    most_harmful,
)
from pipeline_steps.evaluation.attacks.space import OpenSpace, Space

Members = list[tuple[Edits, Judged]]


@dataclass(frozen=True)
class Genetic:
    """Generations of texts: parents are drawn by their harm, the best always lives on.

    A member mutates in one word, drawn by how many replacements it has, to the most harmful of
    them. A child takes each changed word from one parent or the other.
    """

    space: Space
    population: int = 12
    generations: int = 10
    temperature: float = 0.3

    def __call__(self, attempt: Attempt) -> Searching:
        """Return the most harmful member of the last generation, or the first that breaks."""
        opened = yield from self.space.open(attempt)
        fittest: Edits = {}
        members: Members = []
        for _ in range(self.generations + 1):
            children = self._children(members, opened, attempt.generator)
            mutated = yield from _mutated(children, opened, attempt.generator)
            if not mutated:
                break
            members = sorted([*members[:1], *mutated], key=_fitness, reverse=True)
            fittest = members[0][0]
            if members[0][1].broken:
                return Found(fittest, broken=True)
        return Found(fittest)

    def _children(
        self, members: Members, opened: OpenSpace, generator: random.Random
    ) -> list[Edits]:
        """Return the first generation's originals, or crossings of parents drawn by harm."""
        if not members:
            return [{} for _ in range(self.population)]
        best = members[0][1].harm
        weights = [2.0 ** ((judged.harm - best) / self.temperature) for _, judged in members]
        edits = [edits for edits, _ in members]
        pairs = (generator.choices(edits, weights, k=2) for _ in range(self.population - 1))
        return [_crossed(*pair, opened=opened, generator=generator) for pair in pairs]


def _crossed(mother: Edits, father: Edits, *, opened: OpenSpace, generator: random.Random) -> Edits:
    """Return a child, or the mother where it would not keep the constraints."""
    drawn = {
        word: generator.choice((mother, father)).get(word)
        for word in sorted(mother.keys() | father.keys())
    }
    child = {word: new for word, new in drawn.items() if new is not None}
    return child if child and opened.keeps(child) else mother


def _mutated(
    children: Sequence[Edits], opened: OpenSpace, generator: random.Random
) -> Generator[Ask, Sequence[Any], Members]:
    """Return each child with its most harmful replacement of one word; all are asked at once."""
    litters: list[list[Edits]] = []
    for child in children:
        free = [word for word in opened.words if word not in child]
        if free:
            counts = [len(opened.options[word]) for word in free]
            (word,) = generator.choices(free, counts)
            litters.append((yield from opened.changes(child, [word])))
    litters = [litter for litter in litters if litter]
    if not litters:
        return []
    replies: Sequence[Judged] = yield Ask(VICTIM, [edits for some in litters for edits in some])
    members, start = [], 0
    for litter in litters:
        judged = replies[start : start + len(litter)]
        best = most_harmful(judged)
        members.append((litter[best], judged[best]))
        start += len(litter)
    return members


def _fitness(member: tuple[Edits, Judged]) -> tuple[bool, float]:
    return member[1].broken, member[1].harm
