"""What is asked in a case, as a row of each problem: a text, a question on a context, two marks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pipeline_steps.problems import (
    dialogue,
    multi_label_classification,
    ner,
    question_answering,
    relation_extraction,
    writing,
)
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.conversation import USER

MARK = re.compile(r"(</?(?:head|tail)>)")
"""Where the spans of a relation begin and end in the text of a case."""


class Question(NamedTuple):
    """A text and, where it asks of another one, that context."""

    text: str
    context: str = ""

    def __str__(self) -> str:
        """Return it as a report shows it."""
        return f"{self.text} [{self.context}]" if self.context else self.text


def asked_row(question: Question, problem: str) -> dict[str, Any]:
    """Return text, pair and target of a row that asks a question; nothing is known of its answer.

    Examples
    --------
    >>> asked_row(Question("<head>Ada</head> met <tail>Bob</tail>"), "relation_extraction")
    {'text': 'Ada met Bob', 'text_pair': None, 'target': '{"head": [0, 3], "tail": [8, 11]}'}
    """
    text, context = question
    request: Mapping[str, Any] = {"text": text}
    if problem == "question_answering":
        request = {"question": text, "context": context}
    elif problem == "dialogue":
        request = {"messages": json.dumps([{"role": USER, "content": text}])}
    elif problem == "relation_extraction":
        plain, spans = without_marks(text)
        ends = {f"{name}_{end}": at for name, pair in spans.items()
                for end, at in zip(("start", "end"), pair, strict=True)}  # fmt: skip
        request = {"text": plain, **ends}
    content = get_problem(problem).example(request)
    target = _UNKNOWN[problem](content.target or "") if problem in _UNKNOWN else None
    return {"text": content.text, "text_pair": content.text_pair, "target": target}


_UNKNOWN: Mapping[str, Callable[[str], str]] = {
    "ner": lambda target: ner.target_of(
        (words := ner.tokens_and_tags(target)[0]), ["O"] * len(words)
    ),
    "relation_extraction": lambda target: relation_extraction.target_of(
        *relation_extraction.spans(target)
    ),
    "question_answering": lambda _: question_answering.target_of([]),
    "multi_label_classification": lambda _: multi_label_classification.target_of([]),
    "translation": lambda _: writing.target_of([]),
    "summarisation": lambda _: writing.target_of([]),
    "dialogue": lambda target: dialogue.target_of(writing.context(target) or [], []),
}


def without_marks(text: str) -> tuple[str, dict[str, tuple[int, int]]]:
    """Return a text without the marks of its spans, and where head and tail stand in it.

    Raises
    ------
    ValueError
        If it has not one ``<head>...</head>`` and one ``<tail>...</tail>``, with something in them.
    """
    plain = ""
    at: dict[str, int] = {}
    for place, part in enumerate(MARK.split(text)):
        if not place % 2:
            plain += part
        elif part in at:
            raise ValueError(f"{part} stands there twice")
        else:
            at[part] = len(plain)
    spans = {}
    for name in ("head", "tail"):
        start, end = at.get(f"<{name}>"), at.get(f"</{name}>")
        if start is None or end is None or not plain[start:end].strip():
            raise ValueError(f"there is no <{name}>...</{name}> with something in it")
        spans[name] = (start, end)
    return plain, spans
