"""What behavioural tests of a problem can ask: mistakes that the file alone does not show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline_steps.evaluation.behaviour.asked import without_marks
from pipeline_steps.evaluation.behaviour.watched import watch_mistakes

if TYPE_CHECKING:
    from pipeline_steps.evaluation.behaviour.declared import BehaviourFile, DeclaredTest

EXPECTATIONS = {
    "text_classification": ("label",),
    "relation_extraction": ("label",),
    "multi_label_classification": ("labels",),
    "ner": ("entities",),
    "question_answering": ("answers",),
    **dict.fromkeys(("translation", "summarisation", "dialogue"), ("contains", "lacks")),
}
"""Problem -> the keys that say what is right; a problem that is not here cannot be asked."""
EXPECTED = tuple(dict.fromkeys(key for keys in EXPECTATIONS.values() for key in keys))
Mistake = tuple[list[str], str]
"""Place in the file and words."""


def problem_mistakes(
    behaviour: BehaviourFile, problem: str, known: frozenset[str] | None, whose: str
) -> Iterator[Mistake]:
    """Yield what a problem cannot be asked, or does not know.

    Parameters
    ----------
    behaviour : BehaviourFile
        The tests.
    problem : str
        One of ``EXPECTATIONS``.
    known : frozenset of str or None
        Labels and types of entities that can be answered; ``None``: whatever is asked.
    whose : str
        Whose they are, in words.
    """
    for place, test in enumerate(behaviour.tests):
        for where, said in (*_misplaced(test, problem), *_unknown(test, known, problem, whose)):
            yield ["tests", str(place), *where], said


def _misplaced(test: DeclaredTest, problem: str) -> Iterator[Mistake]:
    fitting = EXPECTATIONS[problem]
    if test.kind == "directional":
        yield from watch_mistakes(test, problem)
    for key in [] if test.kind == "directional" else EXPECTED:
        if getattr(test, key) is not None and key not in fitting:
            yield [key], f"{key} is not for {problem}: say {' or '.join(fitting)}"
    said = [text for key in ("contains", "lacks") for text in getattr(test, key) or ()]
    if {"contains", "lacks"} & {*fitting} and test.change is None and not all([said, *said]):
        yield ["name"], "an empty text is in every answer: say what it must contain or lack"
    asks = problem == "question_answering"
    if asks != (test.context is not None):
        yield (["context"], f"{problem} has no use for it") if not asks else (
            ["texts"], "the questions need a context"
        )  # fmt: skip
    if test.change is not None and test.change.of == "context" and not asks:
        yield ["change", "of"], f"{problem} has no context"
    if problem == "relation_extraction":
        yield from _unmarked(test)


def _unmarked(test: DeclaredTest) -> Iterator[Mistake]:
    for position, text in enumerate(test.texts):
        try:
            without_marks(text)
        except ValueError as error:
            yield ["texts", str(position)], str(error)


def _unknown(
    test: DeclaredTest, known: frozenset[str] | None, problem: str, whose: str
) -> Iterator[Mistake]:
    what = "type of entity" if problem == "ner" else "label"
    asked = {"label": [test.label] if test.label else [], "labels": test.labels or (),
             "entities": test.entities or ()}  # fmt: skip
    for key, names in asked.items():
        for name in names:
            if known is not None and name not in known:
                yield [key], f"{name!r} is no {what} of {whose}"
