"""Texts to token ids, with the base model's own tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_steps.errors import CheckpointError
from pipeline_steps.inference.normalising.normaliser import Normaliser, load_normaliser

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WORD_STARTS = frozenset("\u0120\u2581")
"""What marks the token that begins a word: in byte-level BPE, and in SentencePiece."""
_NORMALISER = "holdfast_normaliser"


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

    @property
    def ids_read(self) -> Sequence[Sequence[int]]:
        """All ids that a model meets in training."""
        return self.token_ids


def load_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    """Return the fast tokenizer in a model directory, with the normaliser that lies beside it.

    Raises
    ------
    CheckpointError
        If there is none, or one without words.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    except (OSError, ValueError) as error:
        raise _no_tokenizer(path, str(error)) from error
    if not _has_words(tokenizer):
        raise _no_tokenizer(path, "it would know no words")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return with_normaliser(tokenizer, load_normaliser(path))


def _no_tokenizer(path: Path, why: str) -> CheckpointError:
    return CheckpointError(
        f"no tokenizer can be loaded from {path}: {why}",
        expected="tokenizer files beside the weights",
        fix="save the tokenizer there with save_pretrained, or name another model",
    )


def _has_words(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether any text can be read.

    Where the files are missing, transformers makes a tokenizer that knows special tokens alone: to
    it all texts of so many words are one.
    """
    known = set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens)
    return any(character.isalnum() for token in known for character in token)


def with_normaliser(
    tokenizer: PreTrainedTokenizerBase, normaliser: Normaliser | None
) -> PreTrainedTokenizerBase:
    """Return the tokenizer, whose texts :func:`encode` normalises from now on."""
    setattr(tokenizer, _NORMALISER, normaliser)
    return tokenizer


def normaliser_of(tokenizer: PreTrainedTokenizerBase) -> Normaliser | None:
    """Return what is done to texts before a tokenizer reads them; ``None`` where nothing is."""
    return getattr(tokenizer, _NORMALISER, None)


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, directory: Path) -> None:
    """Write a tokenizer, and what is done to texts before it, into a checkpoint.

    Whoever loads it by transformers alone gets what the model learnt from: ids and no segments,
    which :func:`encode` does not pass on either.
    """
    names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]
    tokenizer.model_input_names = tokenizer.init_kwargs["model_input_names"] = names
    tokenizer.save_pretrained(directory)
    normaliser = normaliser_of(tokenizer)
    if normaliser is not None:
        normaliser.save(directory)


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
    """Return token ids of texts, or of text pairs, cut to ``max_length`` tokens.

    A text whose pair is ``None`` is read alone, whatever stands beside it: what is read of a row
    depends on that row. The texts are normalised first, where the tokenizer came with a normaliser.
    """
    second: Sequence[str | None] = [None] * len(texts) if pairs is None else pairs
    token_ids: list[list[int]] = [[] for _ in texts]
    n_truncated = 0
    for rows in rows_by_shape(second):
        columns = [[texts[row] for row in rows]]
        if second[rows[0]] is not None:
            columns.append([second[row] or "" for row in rows])
        found = _encode_alike(tokenizer, columns, max_length)
        n_truncated += found.n_truncated
        for row, ids in zip(rows, found.token_ids, strict=True):
            token_ids[row] = ids
    return Encoded(token_ids, n_truncated)


def rows_by_shape(pairs: Sequence[str | None]) -> list[list[int]]:
    """Return the rows without a second text, and those with one; a group without rows is left out.

    A tokenizer reads only rows of one shape in one call.

    Examples
    --------
    >>> rows_by_shape([None, "b", None]), rows_by_shape([])
    ([[0, 2], [1]], [])
    """
    alone = [row for row, pair in enumerate(pairs) if pair is None]
    both = [row for row, pair in enumerate(pairs) if pair is not None]
    return [rows for rows in (alone, both) if rows]


def _encode_alike(
    tokenizer: PreTrainedTokenizerBase, columns: list[list[str]], max_length: int
) -> Encoded:
    """Return token ids of rows that all have one text, or all have two."""
    normaliser = normaliser_of(tokenizer)
    if normaliser is not None:
        columns = [[normaliser(text) for text in column] for column in columns]
    token_ids: list[list[int]] = tokenizer(*columns, verbose=False)["input_ids"]
    too_long = [row for row, ids in enumerate(token_ids) if len(ids) > max_length]
    if too_long:
        again = [[column[row] for row in too_long] for column in columns]
        cut = tokenizer(*again, truncation=True, max_length=max_length)["input_ids"]
        for row, ids in zip(too_long, cut, strict=True):
            token_ids[row] = ids
    return Encoded(token_ids, len(too_long))
