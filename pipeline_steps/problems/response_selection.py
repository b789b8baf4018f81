"""Response selection: a conversation, several candidates for the reply, one of which is right.

An example's text is the conversation, its target ``{"messages": [...], "candidates": [...],
"right": place}``. An answer is the order of the candidates, the best first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline_steps.fields import NotAValueError, as_strings
from pipeline_steps.problems.conversation import (
    Message,
    as_messages,
    as_objects_of,
    in_last_turn,
    noisy_messages,
    plain_text,
)
from pipeline_steps.problems.dialogue import TURN_FLAWS, turn_flaws
from pipeline_steps.problems.problem import Content, Field, Noise
from pipeline_steps.problems.statistics import Statistics
from pipeline_steps.problems.writing import context

_MIN_CANDIDATES = 2


class ResponseSelection:
    """Rows of a conversation and candidates for the reply."""

    name = "response_selection"
    has_label = False
    min_labels = 0
    target_is_input = False
    keeps_texts_together = True
    flaws: Mapping[str, str] = {
        **dict.fromkeys(
            ("target_missing", "too_few_candidates", "candidate_empty", "candidate_repeated",
             "right_outside"), "target",
        ),
        **TURN_FLAWS,
    }  # fmt: skip
    inputs = (Field("messages", "messages"), Field("candidates", "strings"))
    outputs = (Field("reply"), Field("place", "long"), Field("score", "double"))

    def read(self, value: Callable[[str], Any]) -> Content:
        """Return conversation, candidates and the place of the right one of a raw row."""
        messages = as_messages("messages", value("messages"))
        found = as_strings("candidates", value("candidates"))
        if messages is None or found is None or value("right") is None:
            return Content(None if messages is None else plain_text(messages))
        target = target_of(messages, found, _place(value("right"), found))
        return Content(plain_text(messages), target=target)

    def find_flaws(self, row: Mapping[str, Any]) -> Sequence[str]:
        """Return what is wrong with conversation and candidates of an example."""
        if row["target"] is None:
            return ["target_missing"]
        found, right = candidates(row["target"])
        checks = {
            "too_few_candidates": len(found) < _MIN_CANDIDATES,
            "candidate_empty": not all(text.strip() for text in found),
            "candidate_repeated": len({text.strip() for text in found}) < len(found),
            "right_outside": not 0 <= right < len(found),
        }
        wrong = [reason for reason, is_wrong in checks.items() if is_wrong]
        return [*wrong, *turn_flaws(context(row["target"]) or [])]

    def labels_in(
        self,
        labels: Iterable[str | None],  # noqa: ARG002 - the protocol
        targets: Iterable[str | None],  # noqa: ARG002
    ) -> Iterable[str]:
        """Return nothing: a candidate is no label."""
        return ()

    def noisy(self, row: Mapping[str, Any], noise: Noise) -> dict[str, Any]:
        """Return the row with noise in what the user says; the candidates stay."""
        messages = noisy_messages(context(row["target"]) or [], noise)
        target = target_of(messages, *candidates(row["target"]))
        return {**row, "text": plain_text(messages), "target": target}

    def noisy_end(self, row: Mapping[str, Any], noise: Noise) -> dict[str, Any]:
        """Return the row with another end of what the user says last; the candidates stay."""
        return self.noisy(row, in_last_turn(context(row["target"]) or [], noise))

    def request(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the conversation of an example, as JSON, and the candidates."""
        messages = as_objects_of(context(row["target"]) or [])
        return {
            "messages": json.dumps(messages, ensure_ascii=False),
            "candidates": candidates(row["target"])[0],
        }

    def example(self, request: Mapping[str, Any]) -> Content:
        """Return conversation and candidates of a request."""
        messages = as_messages("messages", request["messages"]) or []
        found = [str(text) for text in request["candidates"]]
        return Content(plain_text(messages), target=target_of(messages, found, 0))

    def answer(self, predicted: str) -> dict[str, Any]:
        """Return the place of the candidate that was chosen."""
        return {"place": json.loads(predicted)[0]}

    def statistics(self, truth: Sequence[str], predicted: Sequence[str]) -> Statistics:
        """Return what each row adds to recall at 1 and mean reciprocal rank (Voorhees 1999).

        ``truth`` are places as JSON, ``predicted`` JSON lists of places, the best first.
        """
        ranks = np.array(
            [
                json.loads(order).index(json.loads(right))
                for right, order in zip(truth, predicted, strict=True)
            ],
            dtype=float,
        )
        return Statistics(
            counts=(1.0 / (1.0 + ranks))[:, None],
            correct=ranks == 0,
            metrics=lambda sums, total: {"mrr": sums[:, 0] / total},
            shares=("recall_at_1",),
            averages=("mrr",),
        )


def target_of(messages: Sequence[Message], found: Sequence[str], right: int) -> str:
    """Return conversation, candidates and the right one as an example keeps them."""
    content = {"messages": as_objects_of(messages), "candidates": list(found), "right": right}
    return json.dumps(content, ensure_ascii=False)


def candidates(target: str) -> tuple[list[str], int]:
    """Return the candidates in an example's target, and the place of the right one."""
    content = json.loads(target)
    return list(content["candidates"]), int(content["right"])


def _place(value: Any, found: Sequence[str]) -> int:
    """Return the place that a raw value names: as a number, or by the candidate's text."""
    if isinstance(value, str) and value in found:
        return found.index(value)
    if isinstance(value, bool) or not str(value).strip().removesuffix(".0").isdigit():
        raise NotAValueError("right", value, "place")
    return int(float(value))
