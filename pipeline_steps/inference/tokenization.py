"""Texts to token ids, with the base model's own tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_steps.errors import CheckpointError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Encoded:
    """Token ids of n rows, special tokens included, and how many rows were cut."""

    token_ids: list[list[int]]
    n_truncated: int

    def __len__(self) -> int:
        return len(self.token_ids)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return [len(ids) for ids in self.token_ids]


def load_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    """Return the fast tokenizer in a model directory.

    Raises
    ------
    CheckpointError
        If there is none, or none that knows how to pad.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"no tokenizer can be loaded from {path}: {error}",
            expected="tokenizer files beside the weights",
            fix="save the tokenizer there with save_pretrained, or name another base model",
        ) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer


def be_quiet() -> None:
    """Silence transformers: its load reports and weight bars are not for our users."""
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def encode(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    pairs: Sequence[str | None] | None,
    max_length: int,
) -> Encoded:
    """Return token ids of texts, or of text pairs, cut to ``max_length`` tokens."""
    if pairs is None or all(pair is None for pair in pairs):
        full = tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
        cut = tokenizer(list(texts), truncation=True, max_length=max_length)["input_ids"]
    else:
        both = ([*texts], [pair or "" for pair in pairs])
        full = tokenizer(*both, truncation=False, verbose=False)["input_ids"]
        cut = tokenizer(*both, truncation=True, max_length=max_length)["input_ids"]
    n_truncated = sum(len(a) > len(b) for a, b in zip(full, cut, strict=True))
    return Encoded(cut, n_truncated)
