"""How much each word matters to an answer, from one backward pass."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pipeline_steps.inference.batching import length_sorted_batches
from pipeline_steps.inference.forward import pad
from pipeline_steps.inference.moved_vectors import loss_gradient
from pipeline_steps.inference.tokenization import rows_by_shape

if TYPE_CHECKING:
    from pipeline_steps.inference.predictor import Predictor

Array = np.ndarray[Any, Any]
Span = tuple[int, int, int]
"""Of a word: in the first (0) or second (1) text, from which character to which."""


@dataclass(frozen=True)
class Reading:
    """A row whose words are asked about: its texts, a label and where its words are.

    ``wanted``: the label is to be reached; else it is to be left.
    """

    text: str
    pair: str | None
    label: int
    words: Sequence[Span]
    wanted: bool = False


def word_saliencies(predictor: Predictor, readings: Sequence[Reading]) -> list[Array]:
    """Return the length of a loss's gradient at the vectors of each word, (n_words,), by row.

    The lengths at a word's tokens are added up (Li et al. 2016, "Visualizing and understanding
    neural models in NLP", first-derivative saliency). One backward pass to the embeddings stands
    for as many forward passes as there are words. A word that was cut off has none.
    """
    effects: list[Array] = [np.zeros(0)] * len(readings)
    for rows in rows_by_shape([reading.pair for reading in readings]):
        found = _saliencies_alike(predictor, [readings[row] for row in rows])
        for row, values in zip(rows, found, strict=True):
            effects[row] = values
    return effects


def _saliencies_alike(predictor: Predictor, readings: Sequence[Reading]) -> list[Array]:
    """Return the saliencies of rows that all have one text, or all have two."""
    encoded = predictor.tokenizer(
        [reading.text for reading in readings],
        [reading.pair or "" for reading in readings] if readings[0].pair is not None else None,
        truncation=True,
        max_length=predictor.max_length,
        return_offsets_mapping=True,
    )
    token_ids = encoded["input_ids"]
    effects: list[Array] = [np.zeros(0)] * len(readings)
    for batch in length_sorted_batches([len(ids) for ids in token_ids], predictor.batch_tokens):
        labels = [readings[row].label for row in batch]
        found = _token_effects(predictor, [token_ids[row] for row in batch], labels)
        for row, values in zip(batch, found, strict=True):
            places = zip(encoded.sequence_ids(row), encoded["offset_mapping"][row], strict=True)
            effects[row] = _by_word(values, list(places), readings[row].words)
    return effects


def _token_effects(
    predictor: Predictor, token_ids: Sequence[Sequence[int]], labels: Sequence[int]
) -> Array:
    """Return the length of the gradient at each token (n, length); rows are padded at the end."""
    model, tokenizer = predictor.model, predictor.tokenizer
    table: Any = model.get_input_embeddings()  # type: ignore[operator]
    inputs = pad(token_ids, int(tokenizer.pad_token_id))
    ids, mask = (inputs[name].to(table.weight.device) for name in ("input_ids", "attention_mask"))
    gradient = loss_gradient(model, ids, mask, torch.tensor(labels, device=ids.device))
    lengths: Array = gradient.norm(dim=-1).cpu().numpy()
    return lengths


def _by_word(
    values: Array, places: Sequence[tuple[int | None, tuple[int, int]]], words: Sequence[Span]
) -> Array:
    """Return the sum of the values of the tokens in each word."""
    effects = np.zeros(len(words))
    starts = [(which, start) for which, start, _ in words]
    for value, (which, (start, end)) in zip(values, places, strict=False):  # padding is behind
        if which is None or start == end:
            continue
        word = bisect.bisect_right(starts, (which, start)) - 1
        if word >= 0 and words[word][0] == which and start < words[word][2]:
            effects[word] += value
    return effects
