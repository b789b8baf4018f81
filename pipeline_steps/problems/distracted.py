"""A question's context with one more sentence, which is no answer to it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline_steps.problems.question_answering import Answer, answers, target_of

_BETWEEN = re.compile(r"(?<=[.!?])\s+(?=\S)")


def gaps_between_sentences(context: str, found: Sequence[Answer]) -> list[int]:
    """Return where a sentence may be put into a context: in front, between two, at the end.

    Sentences are told by their marks; no place is inside an answer.

    Examples
    --------
    >>> gaps_between_sentences("It rains. It pours.", [("rains. It", 3)])
    [0, 19]
    """
    between = (match.end() for match in _BETWEEN.finditer(context))
    places = dict.fromkeys([0, *between, len(context)])
    inside = [(start, start + len(said)) for said, start in found]
    return [place for place in places if not any(a < place < b for a, b in inside)]


def with_sentence(row: Mapping[str, Any], sentence: str, place: int) -> dict[str, Any]:
    """Return the row with a sentence put into its context; the answers stand where they moved to.

    Parameters
    ----------
    row : mapping
        The columns of an example.
    sentence : str
        Without blanks around it.
    place : int
        One of :func:`gaps_between_sentences`.
    """
    context = row["text"]
    added = f" {sentence}" if place == len(context) else f"{sentence} "
    moved = [
        (said, start + len(added) if start >= place else start)
        for said, start in answers(row["target"])
    ]
    text = f"{context[:place]}{added}{context[place:]}"
    return {**row, "text": text, "target": target_of(moved)}
