"""What a model that writes is asked: conversations as token ids, cut to what it can read.

A decoder is asked by its tokenizer's chat template; where it has none, and for an encoder-decoder,
turns are put one below another (``user: ...``), unless there is one only. Where a conversation is
too long its oldest turns are left out (a system message stays), then the last one is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from pipeline_steps.errors import TrainingError
from pipeline_steps.problems.conversation import Message, plain_text

Ids = list[int]
_SYSTEM, _USER, _ASSISTANT = "system", "user", "assistant"
_UNLIMITED = 10**6
"""Tokenizers that know no limit name a far larger number."""


def source_prompt(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], max_length: int
) -> tuple[Ids, bool]:
    """Return what an encoder reads, and whether it was cut."""

    def ids_of(some: Sequence[Message]) -> Ids:
        return list(tokenizer(_flat(some), verbose=False)["input_ids"])

    return _fitting(tokenizer, messages, max_length, ids_of)


def decoder_prompt(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], max_length: int
) -> tuple[Ids, bool]:
    """Return what a decoder reads before it answers, and whether it was cut."""
    return _fitting(tokenizer, messages, max_length, lambda some: _opening(tokenizer, some))


def source_reply(tokenizer: PreTrainedTokenizerBase, text: str) -> Ids:
    """Return a text as an encoder-decoder writes it, its end included."""
    return _ended(tokenizer, list(tokenizer(text_target=text, verbose=False)["input_ids"]))


def decoder_reply(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], text: str
) -> Ids:
    """Return a text as a decoder writes it behind its prompt, its end included."""
    if not tokenizer.chat_template:
        return _ended(tokenizer, _bare(tokenizer, text))
    before = _templated(tokenizer, messages, opened=True)
    reply = Message(_ASSISTANT, text)
    whole = _templated(tokenizer, [*messages, reply], opened=False)
    written = whole.removeprefix(before) if whole.startswith(before) else text
    return _ended(tokenizer, _bare(tokenizer, written))


def room_for_prompt(
    tokenizer: PreTrainedTokenizerBase, max_length: int, max_new_tokens: int
) -> int:
    """Return how many tokens a decoder's prompt may have, so that its answer has room.

    Raises
    ------
    TrainingError
        If none are left.
    """
    limit = int(tokenizer.model_max_length)
    room = max_length if limit > _UNLIMITED else min(max_length, limit - max_new_tokens)
    if room < 1:
        raise TrainingError(
            f"finetune.generation.max_new_tokens is {max_new_tokens}, the model reads {limit}",
            expected="tokens left for what is asked",
            fix="lower finetune.generation.max_new_tokens",
        )
    return room


def _fitting(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    max_length: int,
    ids_of: Callable[[Sequence[Message]], Ids],
) -> tuple[Ids, bool]:
    """Return the ids of as many of the last messages as fit."""
    ids, some = ids_of(messages), list(messages)
    if len(ids) <= max_length:
        return ids, False
    while len(ids) > max_length and _without_oldest(some):
        some = _without_oldest(some)
        ids = ids_of(some)
    while len(ids) > max_length and some[-1].content:
        last = _shortened(tokenizer, some[-1].content, len(ids) - max_length)
        some = [*some[:-1], Message(some[-1].role, last)]
        ids = ids_of(some)
    return ids[-max_length:], True


def _without_oldest(messages: Sequence[Message]) -> list[Message]:
    """Return the messages without the oldest exchange; none: there is one only."""
    system = [m for m in messages[:1] if m.role == _SYSTEM]
    turns = list(messages[len(system) :])[1:]
    while turns and turns[0].role == _ASSISTANT:
        turns = turns[1:]
    return [*system, *turns] if turns else []


def _shortened(tokenizer: PreTrainedTokenizerBase, text: str, n_tokens: int) -> str:
    """Return a text without its last tokens, so many of them."""
    spans = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)[
        "offset_mapping"
    ]
    left = len(spans) - n_tokens
    return text[: spans[left - 1][1]].rstrip() if left > 0 else ""


def _opening(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> Ids:
    """Return a conversation up to where the answer begins."""
    if tokenizer.chat_template:
        return _bare(tokenizer, _templated(tokenizer, messages, opened=True))
    begin = [] if tokenizer.bos_token_id is None else [int(tokenizer.bos_token_id)]
    cut = _bare(tokenizer, "\n") or [end_token(tokenizer)]
    answer = [] if len(messages) == 1 else _bare(tokenizer, f"{_ASSISTANT}:")
    return [*begin, *_bare(tokenizer, _flat(messages)), *cut, *answer]


def end_token(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the token that ends a text.

    Raises
    ------
    TrainingError
        If the tokenizer names none: the model would never stop.
    """
    if tokenizer.eos_token_id is None:
        raise TrainingError(
            "the base model's tokenizer names no eos_token",
            expected="a token that ends what is written",
            fix="add eos_token to tokenizer_config.json of the base model",
        )
    return int(tokenizer.eos_token_id)


def _flat(messages: Sequence[Message]) -> str:
    return messages[0].content if len(messages) == 1 else plain_text(messages)


def _templated(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, opened: bool
) -> str:
    listed: list[Any] = [{"role": m.role, "content": m.content} for m in messages]
    return str(tokenizer.apply_chat_template(listed, tokenize=False, add_generation_prompt=opened))


def _bare(tokenizer: PreTrainedTokenizerBase, text: str) -> Ids:
    return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def _ended(tokenizer: PreTrainedTokenizerBase, ids: Ids) -> Ids:
    """Return ids up to the first end token, which is added where there is none."""
    end = end_token(tokenizer)
    return [*ids[: ids.index(end)], end] if end in ids else [*ids, end]
