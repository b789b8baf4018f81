"""Sentences that look as if they answered a question and do not (Jia and Liang 2017, AddSent).

A distractor says something of another name or number in the words of the question. Who reads the
question knows that it is no answer, so the true answers stay. The patterns are English.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

from pipeline_steps.noise.word_forms import STOP_WORDS

_NAMES = ("Tadeo", "Ellora", "Brackwell", "Veskar", "Odrin", "Marlow Ridge", "Jeff Dean", "Norvale")
_THINGS = ("museum", "harbour", "lantern", "orchard", "senate", "violin", "glacier", "parcel")
_NUMBER = re.compile(r"\d+")
_NAME = re.compile(r"(?<=[^.!?\s] )[A-Z][\w'-]+")  # not at the beginning, where all are capital
_CONTENT = re.compile(r"[^\W\d_]{4,}")
_BE = re.compile(r"(?i)(?:who|what|which|where|when|why|how)\b(.*?)\b(is|are|was|were)\s+(.+)")
_HELPED = re.compile(r"(?i)(?:who|what|which|where|when|why|how)\b(.*?)\b(?:do|does|did)\s+(.+)")
_SUBJECT = re.compile(r"(?i)(?:who|what|which \w+|what \w+|how (?:many|much))\s+(.+)")
_WH = frozenset("who what which where when why how many much does did do".split())  # noqa: SIM905


def distractors(
    question: str, true: Sequence[str], generator: random.Random, most: int
) -> Iterator[str]:
    """Yield sentences in the words of a question; none holds a true answer.

    Parameters
    ----------
    question : str
        What is asked.
    true : sequence of str
        The true answers; none: the question cannot be answered.
    generator : random.Random
        Draws other names, numbers and things from short lists.
    most : int
        Draws; of those that hold a true answer nothing is yielded.
    """
    for _ in range(most):
        said = false_answer(true, generator)
        sentence = statement(other_question(question, generator), said)
        if not any(answer.casefold() in sentence.casefold() for answer in true):
            yield sentence


def other_question(question: str, generator: random.Random) -> str:
    """Return a question about something else: other numbers and names, or another thing.

    Where there is neither a number nor a name, the longest word of content is replaced.
    """
    changed = _NUMBER.sub(lambda found: _other_number(found.group(), generator), question)
    changed = _NAME.sub(lambda _: generator.choice(_NAMES), changed)
    if changed != question:
        return changed
    words = [w for w in _CONTENT.findall(question) if w.lower() not in STOP_WORDS | _WH]
    other = generator.choice(_THINGS)
    if not words:
        return f"{question.rstrip(' ?')} of the {other}?"
    return re.sub(rf"\b{re.escape(max(words, key=len))}\b", other, question)


def false_answer(true: Sequence[str], generator: random.Random) -> str:
    """Return an answer of the kind of the first true one: a number, a name or a thing."""
    first = true[0] if true else ""
    if _NUMBER.search(first):
        return _NUMBER.sub(lambda found: _other_number(found.group(), generator), first)
    capital = first[:1].isupper() or not first
    return generator.choice(_NAMES) if capital else f"the {generator.choice(_THINGS)}"


def statement(question: str, answer: str) -> str:
    """Return a question with an answer as a sentence.

    A few patterns of English stand for the parser of the paper; what fits none is kept in order,
    the answer at the end.

    Examples
    --------
    >>> statement("Who wrote the novel?", "Veskar")
    'Veskar wrote the novel.'
    >>> statement("When is the old harbour open?", "1840")
    'The old harbour open is 1840.'
    """
    body = question.strip().rstrip("?. ")
    if found := _BE.match(body):
        said = f"{found[3]} {found[2]} {answer}"
    elif found := _HELPED.match(body):
        said = f"{found[2]} {answer}"
    elif found := _SUBJECT.match(body):
        said = f"{answer} {found[1]}"
    else:
        said = f"{body} {answer}"
    return f"{said[:1].upper()}{said[1:]}."


def _other_number(digits: str, generator: random.Random) -> str:
    return str(int(digits) + generator.randint(1, 9))
