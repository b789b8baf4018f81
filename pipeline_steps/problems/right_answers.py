"""The right answer to a row as it is told later: read as ``ingest`` reads it, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pipeline_steps.fields import as_name, as_names, as_objects, as_strings, as_texts
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.entities import as_bio2, is_tag

CANNOT_SAY = "?"
"""What a person writes where nobody can tell the right answer; it is none itself."""
T = TypeVar("T")
Reader = Callable[[Any], Any]
_ANSWERS = {"ner": "tags", "response_selection": "place"}
"""The output that is right or wrong, where it is not the first."""
_COLUMNS = ("target", "references", "reference", "answers", "answer", "right")


def label_flaw(problem: str, label: Any) -> str | None:
    """Return why a label fits no answer of a problem, ``None`` where it fits one.

    Examples
    --------
    >>> label_flaw("text_classification", "spam"), label_flaw("text_classification", {})
    (None, 'no label')
    """
    try:
        right_answer(problem, label)
    except ValueError as error:
        return str(error)
    return None


def answer_name(problem: str) -> str:
    """Return the output of a problem that a label says is right or wrong.

    Examples
    --------
    >>> answer_name("ner"), answer_name("response_selection"), answer_name("summarisation")
    ('tags', 'place', 'summary')
    """
    return _ANSWERS.get(problem) or get_problem(problem).outputs[0].name


def right_answer(problem: str, label: Any) -> Any:
    """Return what a label says is right: a name, tags, names of labels, or texts of which any is.

    No text at all: the question has no answer.

    Parameters
    ----------
    problem : str
        As ``params.yaml`` calls it.
    label : Any
        The right answer itself, or a mapping of the column that holds it.

    Raises
    ------
    ValueError
        If it fits no answer of the problem.
    """
    if isinstance(label, str) and label.strip() == CANNOT_SAY:
        raise ValueError(
            "`?` is no answer but says that nobody can tell it: for the files of `holdfast monitor "
            "labels`, and for /labels/skip; where it is the right answer itself, name its column"
        )
    name = answer_name(problem)
    reader: Reader = _READERS.get(name, _references)
    return reader(_unwrapped(label, name))


def _unwrapped(label: Any, name: str) -> Any:
    if not isinstance(label, dict):
        return label
    return next((label[key] for key in (name, *_COLUMNS) if key in label), None)


def _label(value: Any) -> str:
    return _given("label", as_name("label", value, strip=True))


def _place(value: Any) -> str:
    return _given("place", as_name("place", value, strip=True)).removesuffix(".0")


def _tags(value: Any) -> list[str]:
    tags = _given("tags", as_strings("tags", value))
    if not all(map(is_tag, tags)):
        raise ValueError(f"{', '.join(tag for tag in tags if not is_tag(tag))} is no tag")
    return as_bio2(tags)


def _labels(value: Any) -> list[str]:
    labels = _given("labels", as_names("labels", value))
    if not all(labels):
        raise ValueError("an empty label")
    return labels


def _answers(value: Any) -> list[str]:
    """Return the texts of answers; an empty text alone says that there is none."""
    if isinstance(value, str) and value[:1] not in ("[", "{"):
        return [value] if value.strip() else []
    listed = isinstance(value, list) and all(isinstance(item, str) for item in value)
    found = value if listed else [item.get("text") for item in _objects(value)]
    if not all(isinstance(text, str) and text.strip() for text in found):
        raise ValueError("an answer without a text")
    return list(found)


def _objects(value: Any) -> list[dict[str, Any]]:
    return _given("answer", as_objects("answers", value))


def _references(value: Any) -> list[str]:
    texts = _given("text", as_texts("target", value))
    if not texts or not all(text.strip() for text in texts):
        raise ValueError("an empty text")
    return texts


def _given(name: str, value: T | None) -> T:
    if value is None:
        raise ValueError(f"no {name}")
    return value


_READERS: dict[str, Reader] = {
    "label": _label,
    "place": _place,
    "tags": _tags,
    "labels": _labels,
    "answer": _answers,
}
