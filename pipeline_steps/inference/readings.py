"""Rows whose words are asked about, as the tokens that a model reads of them."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pipeline_steps.inference.batching import length_sorted_batches
from pipeline_steps.inference.forward import pad
from pipeline_steps.inference.tokenization import rows_by_shape

if TYPE_CHECKING:
    from pipeline_steps.inference.predictor import Predictor

Array = np.ndarray[Any, Any]
Span = tuple[int, int, int]
"""Of a word: in the first (0) or second (1) text, from which character to which."""
Place = tuple[int | None, int, int]
"""Of a token, as of a word; ``None``: a tokenizer has added it."""


@dataclass(frozen=True)
class Reading:
    """A row whose words are asked about: its texts, a label and where its words are.

    ``wanted``: the label is to be reached; else it is to be left. ``rival``: the label that it is
    weighed against; ``None``: all others.
    """

    text: str
    pair: str | None
    label: int
    words: Sequence[Span]
    wanted: bool = False
    rival: int | None = None


@dataclass(frozen=True)
class ReadBatch:
    """Rows of like length as tokens (n, length), padded at the end.

    ``numbers`` are their numbers among all readings; ``written`` are the tokens of the texts
    themselves, not padding nor what a tokenizer adds.
    """

    numbers: list[int]
    readings: list[Reading]
    places: list[list[Place]]
    ids: torch.Tensor
    mask: torch.Tensor
    written: torch.Tensor

    def by_word(self, effects: Array) -> list[Array]:
        """Return for each row the sums of its tokens' effects (n, length) over each word."""
        return [
            _by_word(values, places, reading.words)
            for values, places, reading in zip(effects, self.places, self.readings, strict=True)
        ]


def read_in_batches(predictor: Predictor, readings: Sequence[Reading]) -> Iterator[ReadBatch]:
    """Yield readings as tokens, on the model's device; the texts are read as they are written."""
    for alike in rows_by_shape([reading.pair for reading in readings]):
        several = [readings[number] for number in alike]
        token_ids, places = tokens_of(predictor, several)
        for batch in length_sorted_batches([len(ids) for ids in token_ids], predictor.batch_tokens):
            yield _batch(
                predictor,
                [alike[row] for row in batch],
                [several[row] for row in batch],
                [token_ids[row] for row in batch],
                [places[row] for row in batch],
            )


def tokens_of(
    predictor: Predictor, readings: Sequence[Reading]
) -> tuple[list[list[int]], list[list[Place]]]:
    """Return the token ids of readings that all have one text, or all have two, and their places.

    Some tokenizers (those of DeBERTa, T5 and GPT-2) count the blank before a word to its token: a
    place begins behind it.
    """
    texts = [(reading.text, reading.pair or "") for reading in readings]
    paired = readings[0].pair is not None
    encoded = predictor.tokenizer(
        [text for text, _ in texts],
        [pair for _, pair in texts] if paired else None,
        truncation=True,
        max_length=predictor.max_length,
        return_offsets_mapping=True,
    )
    places = [
        [
            (None, 0, 0)
            if which is None
            else (which, _past_blanks(texts[row][which], *span), span[1])
            for which, span in zip(encoded.sequence_ids(row), spans, strict=True)
        ]
        for row, spans in enumerate(encoded["offset_mapping"])
    ]
    return encoded["input_ids"], places


def _past_blanks(text: str, start: int, end: int) -> int:
    while start < end and text[start].isspace():
        start += 1
    return start


def _batch(
    predictor: Predictor,
    numbers: list[int],
    readings: list[Reading],
    token_ids: list[list[int]],
    places: list[list[Place]],
) -> ReadBatch:
    model: Any = predictor.model
    device = model.get_input_embeddings().weight.device
    inputs = pad(token_ids, int(predictor.tokenizer.pad_token_id))
    ids, mask = (inputs[name].to(device) for name in ("input_ids", "attention_mask"))
    written = torch.zeros_like(mask, dtype=torch.bool)
    for row, several in enumerate(places):
        written[row, [i for i, (which, _, _) in enumerate(several) if which is not None]] = True
    return ReadBatch(numbers, readings, places, ids, mask, written)


def _by_word(values: Array, places: Sequence[Place], words: Sequence[Span]) -> Array:
    """Return the sum of the values of the tokens in each word."""
    effects = np.zeros(len(words))
    starts = [(which, start) for which, start, _ in words]
    for value, (which, start, end) in zip(values, places, strict=False):  # padding is behind
        if which is None or start == end:
            continue
        word = bisect.bisect_right(starts, (which, start)) - 1
        if word >= 0 and words[word][0] == which and start < words[word][2]:
            effects[word] += value
    return effects
