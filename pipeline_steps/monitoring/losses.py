"""What each answer cost: 0 where it is right, 1 where it is wrong, for every problem's answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from pipeline_steps.errors import TrafficError
from pipeline_steps.problem_defaults import HEADLINES
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.problem import StructuredProblem
from pipeline_steps.problems.right_answers import answer_name, right_answer

Array = np.ndarray[Any, Any]
_AS_RECORDED = ("tags", "labels", "answer")
"""Answers that a predictions file holds as they are; others it wraps with what they cost."""
_FLAWS = (ValueError, TypeError, KeyError, IndexError)


def recorded_losses(problem: str, truth: Sequence[str], predicted: Sequence[str]) -> Array:
    """Return losses (n,) in [0, 1] of a predictions file's answers, both as it holds them.

    One minus the problem's first metric, row by row: for labels whether they differ. Where the
    metric of a row is undefined (nothing to find and nothing found), whether it is exactly right.
    """
    if get_problem(problem).has_label:
        pairs = zip(truth, predicted, strict=True)
        return np.array([float(a != b) for a, b in pairs], dtype=np.float64)
    if not len(truth):
        return np.empty(0)
    structured = cast("StructuredProblem", get_problem(problem))
    statistics = structured.statistics(truth, predicted)
    counts = statistics.counts
    dense = counts.toarray() if hasattr(counts, "toarray") else np.asarray(counts)
    values = statistics.metrics(dense, np.ones(len(dense)))[HEADLINES[problem][0]]
    exact = np.asarray(statistics.correct, dtype=np.float64)
    return np.clip(1.0 - np.where(np.isfinite(values), values, exact), 0.0, 1.0)


def answer_losses(
    problem: str, outputs: Sequence[Mapping[str, Any]], labels: Sequence[Any]
) -> Array:
    """Return losses (n,) in [0, 1] of answers that a service gave, by labels that came later.

    A label is the right answer itself, or a mapping of the columns that hold it, as the traffic
    log keeps it.

    Raises
    ------
    TrafficError
        If a label is no answer to its row, such as five tags for six words.
    """
    found = []
    for output, label in zip(outputs, labels, strict=True):
        try:
            found.append(_loss(problem, output, label))
        except _FLAWS as error:
            raise TrafficError(
                f"the label {json.dumps(label, ensure_ascii=False)[:200]} is no answer to a row "
                f"that was answered {json.dumps(dict(output), ensure_ascii=False)[:200]}: {error}",
                expected=f"what {problem} answers",
                fix="label that row again, or mark it `?`, and import the file again",
            ) from error
    return np.array(found, dtype=np.float64)


def answer_flaw(problem: str, output: Mapping[str, Any], label: Any) -> str | None:
    """Return why a label is no answer to a row that was answered so; ``None`` where it is one.

    :func:`pipeline_steps.problems.right_answers.label_flaw` asks the same without the row.
    """
    try:
        _told(problem, output, label)
    except _FLAWS as error:
        return str(error)
    return None


def _loss(problem: str, output: Mapping[str, Any], label: Any) -> float:
    said, right = _told(problem, output, label)
    if isinstance(right, str):
        names = {str(said), *(str(output[n]).strip() for n in ("reply",) if n in output)}
        return float(right not in names)
    if answer_name(problem) not in _AS_RECORDED:
        said = {"text": said}
    return _structured(problem, json.dumps(right), json.dumps(said))


def _told(problem: str, output: Mapping[str, Any], label: Any) -> tuple[Any, Any]:
    """Return what was answered and what a label says is right."""
    name, right = answer_name(problem), right_answer(problem, label)
    said = output[name]
    if name == "tags" and len(right) != len(said):
        raise ValueError(f"{len(right)} tags for {len(said)} words")
    if name == "place" and not right.isdigit() and "reply" not in output:
        raise ValueError("a text, and of the reply only its place is kept")
    return said, right


def _structured(problem: str, truth: str, predicted: str) -> float:
    return float(recorded_losses(problem, [truth], [predicted])[0])
