"""Entities in tag sequences: reading BIO2 and its relatives, and counting as the field does.

What counts as an entity is what ``seqeval`` counts in its default mode (the CoNLL-2000 scorer of
Tjong Kim Sang): a run of tags of one type, begun by B, or by I where nothing of its type precedes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

OUTSIDE = "O"
# The single-token and end marks of the richer schemes BIOES and BILOU.
_PREFIXES = {"B": "B", "I": "I", "S": "B", "U": "B", "E": "I", "L": "I"}

Entity = tuple[str, int, int]
"""Type, first token, token after the last."""


def entities(tags: Sequence[str]) -> list[Entity]:
    """Return the entities of a tag sequence, in order.

    Examples
    --------
    >>> entities(["B-per", "I-per", "O", "I-loc", "B-loc"])
    [('per', 0, 2), ('loc', 3, 4), ('loc', 4, 5)]
    """
    found: list[Entity] = []
    for position, tag in enumerate(tags):
        if tag == OUTSIDE:
            continue
        kind = tag[2:]
        if not _begins(tags, position):
            found[-1] = (kind, found[-1][1], position + 1)
        else:
            found.append((kind, position, position + 1))
    return found


def is_tag(tag: str) -> bool:
    """Return whether a tag is O, or a known prefix and a type."""
    return tag == OUTSIDE or (tag[:1] in _PREFIXES and tag[1:2] == "-" and len(tag.strip()) > 2)  # noqa: PLR2004


def as_bio2(tags: Sequence[str]) -> list[str]:
    """Return well-formed tags (IOB1, BIOES, BILOU or BIO2) as BIO2: the entities stay the same.

    Examples
    --------
    >>> as_bio2(["I-per", "E-per", "O", "S-loc", "I-org"])
    ['B-per', 'I-per', 'O', 'B-loc', 'B-org']
    """
    plain = [tag if tag == OUTSIDE else _PREFIXES[tag[0]] + tag[1:] for tag in tags]
    return [
        f"B-{tag[2:]}" if tag != OUTSIDE and _begins(plain, position) else tag
        for position, tag in enumerate(plain)
    ]


def types_in(tags: Sequence[str]) -> Iterator[str]:
    """Yield the type of each entity."""
    return (kind for kind, _, _ in entities(tags))


def _begins(tags: Sequence[str], position: int) -> bool:
    """Return whether an entity begins at a tag that is not O."""
    tag = tags[position]
    before = tags[position - 1] if position else OUTSIDE
    return tag[0] == "B" or before == OUTSIDE or before[2:] != tag[2:]
