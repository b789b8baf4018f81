"""What served classifiers return, in the forms that are common, as labels and scores.

A form that is not known is refused with what it looked like: a guess would be judged as an answer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline_steps.errors import DataError, counted

_SHOWN = 200
_SUM_TOLERANCE = 0.02  # scores may have been rounded to two digits
_EXPECTED = (
    'for each row a label, {"label", "score"}, a list of these, or a probability of each label'
)


@dataclass(frozen=True)
class Said:
    """One answer: its label, its score (not a number: none), the score of every label if told."""

    label: str
    score: float
    scores: Mapping[str, float] | None = None


def read_said(output: Any, n: int) -> list[Said]:
    """Return the answers to ``n`` rows in what a served model returned.

    Known are: labels; class numbers; ``{"label", "score"}``, with ``"scores"`` of all labels or
    without; a list of these for each row, as Hugging Face returns them; a list or a mapping of
    probabilities for each row; each of them under ``predictions``, as MLflow returns them.

    Raises
    ------
    DataError
        If there are more or fewer answers than rows, or one is none of these.
    """
    rows = _rows(output, n)
    if len(rows) != n:
        raise DataError(
            f"{counted(len(rows), 'answer')} to {counted(n, 'row')}: {shown(output)}",
            expected=f"one answer a row: {_EXPECTED}",
            fix="look at what the model reads: it may take the rows for one, or want them another "
            "way (--send-as COLUMN)",
        )
    return [_said(row) for row in rows]


def shown(output: Any) -> str:
    """Return the beginning of what was returned."""
    try:
        text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
    except (TypeError, ValueError):
        text = str(output)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _rows(output: Any, n: int) -> Sequence[Any]:
    if isinstance(output, Mapping) and "predictions" in output:
        output = output["predictions"]
    if not isinstance(output, list | tuple):
        raise _unknown(output)
    flat = n == 1 and len(output) > 1 and all(_is_scored(item) for item in output)
    return [output] if flat else output


def _is_scored(item: Any) -> bool:
    return isinstance(item, Mapping) and "label" in item and "score" in item


def _said(row: Any) -> Said:
    if isinstance(row, str):
        return Said(row, math.nan)
    if isinstance(row, int) and not isinstance(row, bool):
        return Said(str(row), math.nan)
    if isinstance(row, Mapping):
        return _from_mapping(row)
    if isinstance(row, list | tuple) and row:
        if all(_is_scored(item) for item in row):
            return _from_list(row)
        if len(row) > 1 and all(_is_number(item) for item in row):
            return _best({str(place): float(share) for place, share in enumerate(row)}, row)
    raise _unknown(row)


def _from_mapping(row: Mapping[str, Any]) -> Said:
    if "label" in row:
        score, scores = row.get("score"), row.get("scores")
        if isinstance(scores, Mapping) and scores:
            return _best({str(name): _share(value, row) for name, value in scores.items()}, row)
        return Said(_name(row["label"], row), math.nan if score is None else _share(score, row))
    if len(row) == 1:
        return _said(next(iter(row.values())))
    if row and all(_is_number(value) for value in row.values()):
        return _best({str(name): _share(value, row) for name, value in row.items()}, row)
    raise _unknown(row)


def _from_list(row: Sequence[Mapping[str, Any]]) -> Said:
    scores = {_name(item["label"], row): _share(item["score"], row) for item in row}
    if len(scores) == 1:
        [(label, score)] = scores.items()
        return Said(label, score)
    # Hugging Face may be asked for the best labels only: these are not all, and say so by sum.
    best = max(scores, key=lambda name: scores[name])
    whole = abs(sum(scores.values()) - 1.0) <= _SUM_TOLERANCE
    return Said(best, scores[best], scores if whole else None)


def _best(scores: dict[str, float], row: Any) -> Said:
    """Return the likeliest label, of the first among equals."""
    if abs(sum(scores.values()) - 1.0) > _SUM_TOLERANCE:
        raise DataError(
            f"the scores of the labels add up to {sum(scores.values()):.3f}: {shown(row)}",
            expected="probabilities: each from 0 to 1, together 1",
            fix="let the model return its softmax, and not logits or a score for each label apart",
        )
    best = max(scores, key=lambda name: scores[name])
    return Said(best, _share(scores[best], row), scores)


def _share(value: Any, row: Any) -> float:
    if not _is_number(value) or not 0.0 <= float(value) <= 1.0:
        raise DataError(
            f"a score of {value!r}: {shown(row)}",
            expected="a probability, from 0 to 1",
            fix="let the model return its softmax and not its logits, or the label alone",
        )
    return float(value)


def _name(label: Any, row: Any) -> str:
    if isinstance(label, str) or (isinstance(label, int) and not isinstance(label, bool)):
        return str(label)
    raise _unknown(row)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _unknown(row: Any) -> DataError:
    number = isinstance(row, float)
    return DataError(
        f"an answer that is no label: {shown(row)}",
        expected=_EXPECTED,
        fix="name a classifier; a model that predicts a number is not judged here"
        if number
        else "let the model return one of these forms, or wrap it in one that does",
    )
