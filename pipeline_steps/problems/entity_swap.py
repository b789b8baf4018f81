"""Sentences about other people, places and things: each entity by another one of its type."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pipeline_steps.problems.entities import entities
from pipeline_steps.problems.ner import target_of, tokens_and_tags

Words = tuple[str, ...]
Pool = Mapping[str, Sequence[Words]]
"""Type -> its different entities, in the order of the alphabet."""
Choose = Callable[[str, Words, Sequence[Words]], Words]
"""Returns, of a type, an entity and what may stand in its place, what shall stand there."""


def entity_pool(targets: Iterable[str | None]) -> dict[str, list[Words]]:
    """Return the different entities in the targets of rows, by type.

    Examples
    --------
    >>> entity_pool([target_of(["Anna", "of", "New", "York"], ["B-per", "O", "B-loc", "I-loc"])])
    {'per': [('Anna',)], 'loc': [('New', 'York')]}
    """
    found: dict[str, set[Words]] = defaultdict(set)
    for target in targets:
        if target is not None:
            tokens, tags = tokens_and_tags(target)
            for kind, start, end in entities(tags):
                found[kind].add(tuple(tokens[start:end]))
    return {kind: sorted(words) for kind, words in found.items()}


def with_other_entities(row: Mapping[str, Any], pool: Pool, choose: Choose) -> dict[str, Any]:
    """Return the row with other entities; words that are no entity stay, and so do all types.

    An entity whose type has no other one stays as it is.

    Parameters
    ----------
    row : mapping
        The columns of an example.
    pool : mapping
        What may stand in an entity's place, by type.
    choose : callable
        Draws.
    """
    tokens, tags = tokens_and_tags(row["target"])
    new_tokens: list[str] = []
    new_tags: list[str] = []
    done = 0
    for kind, start, end in entities(tags):
        said = tuple(tokens[start:end])
        others = [words for words in pool.get(kind, ()) if words != said]
        words = choose(kind, said, others) if others else said
        new_tokens += [*tokens[done:start], *words]
        new_tags += [*tags[done:start], f"B-{kind}", *[f"I-{kind}"] * (len(words) - 1)]
        done = end
    new_tokens += tokens[done:]
    new_tags += tags[done:]
    return {**row, "text": " ".join(new_tokens), "target": target_of(new_tokens, new_tags)}
