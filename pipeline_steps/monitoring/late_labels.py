"""The right answer of an example, as a service is told it later, and as raw files hold it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pipeline_steps.fields import NotAValueError, as_objects, json_or_text
from pipeline_steps.problems.multi_label_classification import labels_of
from pipeline_steps.problems.ner import tokens_and_tags
from pipeline_steps.problems.question_answering import answers
from pipeline_steps.problems.response_selection import candidates
from pipeline_steps.problems.writing import references

_ASSISTANT = "assistant"


def _written(target: str) -> dict[str, Any]:
    return {"target": references(target)}


_OF_TARGET: dict[str, Callable[[str], dict[str, Any]]] = {
    "multi_label_classification": lambda target: {"labels": labels_of(target)},
    "ner": lambda target: {"tags": tokens_and_tags(target)[1]},
    "question_answering": lambda target: {
        "answers": [{"text": text, "start": start} for text, start in answers(target)]
    },
    "response_selection": lambda target: {"right": candidates(target)[1]},
    "translation": _written,
    "summarisation": _written,
    "dialogue": _written,
}


def late_label(problem: str, example: Mapping[str, Any]) -> Any:
    """Return the right answer of an example as ``/feedback`` takes it; ``None``: not known.

    Its label, or a mapping of the column of the raw files that holds what is to be learnt.
    """
    if problem not in _OF_TARGET:
        return example["label"]
    return None if example["target"] is None else _OF_TARGET[problem](example["target"])


def raw_answer(request: Mapping[str, Any], label: Any) -> dict[str, Any]:
    """Return the columns of a raw row that a request and its late label say.

    Parameters
    ----------
    request : mapping
        What the model was asked.
    label : object
        The right answer: a mapping of columns, or one answer, which is put wherever a problem looks
        for it.

    Examples
    --------
    >>> raw_answer({"question": "Who?", "context": "It was Ann."}, "Ann")["answers"]
    [{'text': 'Ann', 'start': 7}]
    >>> raw_answer({"text": "Ann met Bo", "head_start": 0, "head_end": 3}, "met")["head_span"]
    [0, 3]

    Of a context that was redacted the log does not know the original: an answer is moved to the
    nearest place where the kept text has it.
    """
    given = dict(label) if isinstance(label, Mapping) else _anywhere(request, label)
    if "messages" in request:  # a conversation that ends with the reply holds what is learnt
        given = {"messages": _with_reply(request["messages"], given.get("target")), **given}
    if "context" in request and "answers" in given:
        given["answers"] = _placed(str(request["context"]), given["answers"])
    if "tags" in given and request.get("text") and not request.get("tokens"):
        given = {"tokens": str(request["text"]).split(), **given}
    return {**_spans(request), **given}


def _anywhere(request: Mapping[str, Any], label: Any) -> dict[str, Any]:
    found = dict.fromkeys(("label", "target", "labels", "tags", "right"), label)
    if "context" in request and isinstance(label, str):
        start = str(request["context"]).find(label)
        found["answers"] = [{"text": label, "start": start}] if label else []
    return found


def _placed(context: str, given: Any) -> Any:
    """Return answers where the logged context has them: a redaction before them moves its text.

    What is no list of answers stays as it is, and is set aside when the row is read.
    """
    try:
        found = as_objects("answers", given)
    except NotAValueError:
        return given
    return None if found is None else [_at_its_place(context, answer) for answer in found]


def _at_its_place(context: str, answer: Mapping[str, Any]) -> Mapping[str, Any]:
    text, start = answer.get("text"), answer.get("start", answer.get("answer_start"))
    if not isinstance(text, str) or not text or not isinstance(start, int):
        return answer
    places = [match.start() for match in re.finditer(f"(?={re.escape(text)})", context)]
    nearest = min(places, key=lambda place: abs(place - start), default=start)
    return {"text": text, "start": nearest}


def _spans(request: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"{name}_span": [request[f"{name}_start"], request[f"{name}_end"]]
        for name in ("head", "tail")
        if f"{name}_start" in request
    }


def _with_reply(messages: Any, reply: Any) -> Any:
    is_json = isinstance(messages, str) and messages.lstrip()[:1] == "["
    said = json_or_text(messages) if is_json else messages
    if not isinstance(said, list) or reply is None:
        return said
    first = reply[0] if isinstance(reply, list) else reply
    return [*said, {"role": _ASSISTANT, "content": first}]
