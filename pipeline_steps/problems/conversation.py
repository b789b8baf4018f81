"""Conversations: lists of messages with a role, in the forms that they are commonly kept in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline_steps.fields import NotAValueError, as_objects
from pipeline_steps.problems.problem import Noise

SYSTEM, USER, ASSISTANT = "system", "user", "assistant"
ROLES = (SYSTEM, USER, ASSISTANT)
_ROLE_KEYS, _TEXT_KEYS = ("role", "from", "speaker"), ("content", "value", "text")
_SYNONYMS = {
    "human": USER,
    "customer": USER,
    "gpt": ASSISTANT,
    "bot": ASSISTANT,
    "agent": ASSISTANT,
}


@dataclass(frozen=True)
class Message:
    """Who says what."""

    role: str
    content: str


def as_messages(column: str, value: Any) -> list[Message] | None:
    """Return a conversation: a list of objects (or it as JSON), or a text, which a user says.

    A role stands under ``role``, ``from`` or ``speaker``, a text under ``content``, ``value`` or
    ``text``. Under ``speaker`` the system is who answers, as in data of dialogue systems.

    Raises
    ------
    NotAValueError
        If it is anything else.

    Examples
    --------
    >>> as_messages("messages", [{"speaker": "SYSTEM", "text": "Which city?"}])
    [Message(role='assistant', content='Which city?')]
    """
    if isinstance(value, str) and value.lstrip()[:1] != "[":
        return [Message(USER, value)]
    found = as_objects(column, value)
    return None if found is None else [_message(column, item) for item in found]


def plain_text(messages: Sequence[Message]) -> str:
    r"""Return a conversation as a text: a line a message, its role before it.

    Examples
    --------
    >>> plain_text([Message("user", "Hi"), Message("assistant", "Hello")])
    'user: Hi\nassistant: Hello'
    """
    return "\n".join(f"{message.role}: {message.content}" for message in messages)


def as_objects_of(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Return messages as objects with ``role`` and ``content``."""
    return [{"role": message.role, "content": message.content} for message in messages]


def _message(column: str, item: Mapping[str, Any]) -> Message:
    key = next((key for key in _ROLE_KEYS if key in item), "")
    role, content = item.get(key), next((item[k] for k in _TEXT_KEYS if k in item), None)
    if not isinstance(role, str) or not isinstance(content, str):
        raise NotAValueError(column, item, "conversation")
    name = role.strip().lower()
    if key == "speaker" and name == SYSTEM:
        return Message(ASSISTANT, content)
    return Message(_SYNONYMS.get(name, name), content)


def noisy_messages(messages: Sequence[Message], noise: Noise) -> list[Message]:
    """Return a conversation with noise in what the user says; no turn is emptied."""
    changed = [
        noise(m.content, f"turn{place}") if m.role == USER else m.content
        for place, m in enumerate(messages)
    ]
    return [
        Message(m.role, text if text.strip() else m.content)
        for m, text in zip(messages, changed, strict=True)
    ]


def in_last_turn(messages: Sequence[Message], noise: Noise) -> Noise:
    """Return noise that touches only what the user says last, for :func:`noisy_messages`."""
    places = [place for place, message in enumerate(messages) if message.role == USER]
    last = f"turn{places[-1]}" if places else None
    return lambda text, place: noise(text, place) if place == last else text
