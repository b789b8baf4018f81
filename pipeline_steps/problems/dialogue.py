"""Dialogue: a conversation of several turns, and the reply that is learnt.

An example's text is the conversation before the reply, a line a turn; its target
``{"messages": [{"role", "content"}, ...], "references": [...]}``: the same turns, and the reply.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline_steps.fields import as_texts
from pipeline_steps.problems.conversation import (
    ASSISTANT,
    ROLES,
    USER,
    Message,
    as_messages,
    as_objects_of,
    in_last_turn,
    noisy_messages,
    plain_text,
)
from pipeline_steps.problems.problem import Content, Field, Noise
from pipeline_steps.problems.writing import (
    ANSWER_FLAWS,
    CHRF_AND_BLEU,
    WritingProblem,
    context,
    references,
)

TURN_FLAWS: Mapping[str, str] = dict.fromkeys(
    ("turn_empty", "role_unknown", "nothing_asked"), "target"
)
"""What can be wrong with a conversation."""


class Dialogue(WritingProblem):
    """Rows of a conversation and the reply to it."""

    name = "dialogue"
    scorer = CHRF_AND_BLEU
    inputs = (Field("messages", "messages"),)
    outputs = (Field("reply"), Field("score", "double"))
    flaws: Mapping[str, str] = {**ANSWER_FLAWS, **TURN_FLAWS}
    remarks: Mapping[str, str] = {"reply_repeats": "target"}

    def read(self, value: Callable[[str], Any]) -> Content:
        """Return a conversation and the reply: of a field of its own, or the last message."""
        messages = as_messages("messages", value("messages"))
        if messages is None:
            return Content(None)
        replies = as_texts("target", value("target"))
        if replies is None and messages and messages[-1].role == ASSISTANT:
            replies = [messages.pop().content]
        target = None if replies is None else target_of(messages, replies)
        return Content(plain_text(messages), target=target)

    def find_flaws(self, row: Mapping[str, Any]) -> Sequence[str]:
        """Return what is wrong with conversation and reply of an example."""
        found = super().find_flaws(row)
        return [*found, *turn_flaws(context(row["target"]) or [])] if row["target"] else found

    def find_remarks(self, row: Mapping[str, Any]) -> Sequence[str]:
        """Return whether the reply says what was said before."""
        said = {m.content.strip() for m in (context(row["target"]) or [])}
        return ["reply_repeats"] if said & {r.strip() for r in references(row["target"])} else []

    def noisy(self, row: Mapping[str, Any], noise: Noise) -> dict[str, Any]:
        """Return the row with noise in what the user says; the reply stays."""
        messages = noisy_messages(context(row["target"]) or [], noise)
        target = target_of(messages, references(row["target"]))
        return {**row, "text": plain_text(messages), "target": target}

    def noisy_end(self, row: Mapping[str, Any], noise: Noise) -> dict[str, Any]:
        """Return the row with another end of what the user says last; the reply stays."""
        return self.noisy(row, in_last_turn(context(row["target"]) or [], noise))

    def request(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the conversation of an example, as JSON."""
        messages = as_objects_of(context(row["target"]) or [])
        return {"messages": json.dumps(messages, ensure_ascii=False)}

    def example(self, request: Mapping[str, Any]) -> Content:
        """Return the conversation of a request."""
        messages = as_messages("messages", request["messages"]) or []
        return Content(plain_text(messages), target=target_of(messages, []))


def target_of(messages: Sequence[Message], replies: Sequence[str]) -> str:
    """Return conversation and reply as an example keeps them."""
    content = {"messages": as_objects_of(messages), "references": list(replies)}
    return json.dumps(content, ensure_ascii=False)


def turn_flaws(messages: Sequence[Message]) -> list[str]:
    """Return the reasons (of ``TURN_FLAWS``) for which a conversation cannot be used."""
    checks = {
        "turn_empty": not all(m.content.strip() for m in messages),
        "role_unknown": any(m.role not in ROLES for m in messages),
        "nothing_asked": not any(m.role == USER for m in messages),
    }
    return [reason for reason, wrong in checks.items() if wrong]
