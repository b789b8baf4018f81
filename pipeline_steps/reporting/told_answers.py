"""Answers of every problem in words that people read: entities for tags, text for JSON."""

from __future__ import annotations

import json

from pipeline_steps.problems.entities import entities, is_tag

_NOTHING = "nothing"


def told_answer(answer: str, text: str) -> str:
    """Return a truth or a prediction, as result files have it, in words.

    A label is itself. Tags are told as entities, named by the words of ``text`` where there is a
    tag for each of them, and else by their types alone.

    Examples
    --------
    >>> told_answer('["B-firm", "I-firm", "O"]', "Elm Press called")
    'firm: Elm Press'
    >>> told_answer('"23 euros"', ""), told_answer("[]", ""), told_answer("card_lost", "")
    ('23 euros', 'nothing', 'card_lost')
    """
    try:
        found = json.loads(answer)
    except ValueError:
        return answer
    if isinstance(found, dict):
        return str(found.get("text", answer)).strip() or _NOTHING
    if isinstance(found, list):
        return _told_list([str(each) for each in found], text)
    return (found or _NOTHING) if isinstance(found, str) else answer


def _told_list(found: list[str], text: str) -> str:
    """Return answers or labels one behind the other; of tags, the entities that they mark."""
    if not found or not all(map(is_tag, found)):
        return "; ".join(found) or _NOTHING
    words = text.split()
    named = len(words) == len(found)
    told = (
        f"{kind}: {' '.join(words[start:end])}" if named else kind
        for kind, start, end in entities(found)
    )
    return "; ".join(told) or _NOTHING
