"""What each answer cost: 0 where it is right, 1 where it is wrong, for every problem's answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

import numpy as np

from pipeline_steps.errors import TrafficError
from pipeline_steps.fields import as_name, as_names, as_strings
from pipeline_steps.problem_defaults import HEADLINES
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.entities import as_bio2, is_tag
from pipeline_steps.problems.problem import StructuredProblem

Array = np.ndarray[Any, Any]
T = TypeVar("T")
_EXACT = ("label", "place")
_REFERENCES = ("target", "references", "reference", "answers", "answer")


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
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise TrafficError(
                f"the label {json.dumps(label, ensure_ascii=False)[:200]} is no answer to a row "
                f"that was answered {json.dumps(dict(output), ensure_ascii=False)[:200]}: {error}",
                expected=f"what {problem} answers",
                fix="label that row again, or mark it `?`, and import the file again",
            ) from error
    return np.array(found, dtype=np.float64)


def _loss(problem: str, output: Mapping[str, Any], label: Any) -> float:
    """Return what an answer cost; the label is read as ``ingest`` reads it where it is learnt."""
    name = next((name for name in _EXACT if name in output), None)
    if name is not None:
        right = _given(name, as_name(name, _unwrapped(label, name), strip=True))
        right = right.removesuffix(".0") if name == "place" else right
        return float(right not in (str(output[name]), str(output.get("reply")).strip()))
    name, answer = next(iter(output.items()))
    truth = _unwrapped(label, name)
    if name == "tags":
        return _structured(problem, json.dumps(_tags(truth, len(answer))), json.dumps(answer))
    if name == "labels":
        return _structured(problem, json.dumps(_labels(truth)), json.dumps(answer))
    wanted = [t["text"] if isinstance(t, dict) else str(t) for t in _as_list(truth)]
    said = answer if problem == "question_answering" else {"text": answer}
    return _structured(problem, json.dumps(wanted), json.dumps(said))


def _tags(truth: Any, n_words: int) -> list[str]:
    tags = _given("tags", as_strings("tags", truth))
    if not all(map(is_tag, tags)):
        raise ValueError(f"{', '.join(tag for tag in tags if not is_tag(tag))} is no tag")
    if len(tags) != n_words:
        raise ValueError(f"{len(tags)} tags for {n_words} words")
    return as_bio2(tags)


def _labels(truth: Any) -> list[str]:
    labels = _given("labels", as_names("labels", truth))
    if not all(labels):
        raise ValueError("an empty label")
    return labels


def _given(name: str, value: T | None) -> T:
    if value is None:
        raise ValueError(f"no {name}")
    return value


def _structured(problem: str, truth: str, predicted: str) -> float:
    return float(recorded_losses(problem, [truth], [predicted])[0])


def _unwrapped(label: Any, name: str) -> Any:
    if not isinstance(label, dict):
        return label
    return next(label[key] for key in (name, *_REFERENCES, "right", *label) if key in label)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
