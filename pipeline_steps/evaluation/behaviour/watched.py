"""What a directional test watches: a probability, how sure an answer is, or how much of it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from pipeline_steps.problem_defaults import WRITING

if TYPE_CHECKING:
    from pipeline_steps.evaluation.behaviour.declared import DeclaredTest

Watch = Literal["probability", "score", "number"]
_LABELS: tuple[Watch, ...] = ("probability", "score")
_NUMBER: tuple[Watch, ...] = ("number",)
WATCHED: Mapping[str, tuple[Watch, ...]] = {
    "text_classification": _LABELS,
    "relation_extraction": _LABELS,
    "multi_label_classification": ("score", "number"),
    "question_answering": ("score", "number"),
    "ner": _NUMBER,
    **dict.fromkeys(WRITING, _NUMBER),
}
"""Problem -> what can be watched.

The score of entities and of written answers is the probability of all their words together: it
falls with each word that a change adds, whatever the model thinks, so that it has no direction.
"""
COUNTED = ("ner", "multi_label_classification")
"""Problems where the number may be that of one type or label alone."""
_UNITS = {
    "ner": "entities",
    "multi_label_classification": "labels",
    "question_answering": "answers",
    **dict.fromkeys(WRITING, "words"),
}


def watch_mistakes(test: DeclaredTest, problem: str) -> Iterator[tuple[list[str], str]]:
    """Yield place and words of what a directional test cannot watch in a problem."""
    known = WATCHED[problem]
    watch: Watch = test.watch or "probability"
    if watch == "probability" and watch not in known:
        instead = " or ".join(f"watch: {name}" for name in known)
        said = f"directional watches the probability of a label, and {problem} has none"
        yield ["kind"], f"{said}: say {instead}"
    elif watch not in known:
        yield ["watch"], f"{watch} has no direction in {problem}: say {' or '.join(known)}"
    elif watch == "probability" and test.label is None:
        yield ["label"], "say which label's probability is watched"
    elif test.label is not None and (watch == "score" or problem not in (*COUNTED, *_one_label())):
        yield ["label"], f"the {watch} is that of whatever is answered: leave label out"


def direction(
    test: DeclaredTest, problem: str, before: float, after: float
) -> tuple[str | None, str]:
    """Return what was expected of what is watched, and what came; ``None`` for what was met."""
    lost = before - after if test.must_not == "fall" else after - before
    bound = "at least" if test.must_not == "fall" else "at most"
    if test.watch == "number":
        unit = test.label or _UNITS[problem]
        expected, got = f"{bound} {before:g} {unit}", f"{after:g}"
    else:
        of = f"of {test.label}" if test.watch != "score" else "sure"
        expected, got = f"{bound} {before:.2f} {of}", f"{after:.2f}"
    return (None if lost <= test.tolerance else expected), got


def _one_label() -> tuple[str, ...]:
    return tuple(problem for problem, known in WATCHED.items() if "probability" in known)
