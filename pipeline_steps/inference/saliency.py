"""How much each word matters to an answer, from one backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pipeline_steps.inference.moved_vectors import loss_gradient
from pipeline_steps.inference.readings import ReadBatch, Reading, read_in_batches

if TYPE_CHECKING:
    from pipeline_steps.inference.predictor import Predictor

Array = np.ndarray[Any, Any]


def word_saliencies(predictor: Predictor, readings: Sequence[Reading]) -> list[Array]:
    """Return the length of a loss's gradient at the vectors of each word, (n_words,), by row.

    The lengths at a word's tokens are added up (Li et al. 2016, "Visualizing and understanding
    neural models in NLP", first-derivative saliency). One backward pass to the embeddings stands
    for as many forward passes as there are words. A word that was cut off has none.
    """
    effects: list[Array] = [np.zeros(0)] * len(readings)
    for batch in read_in_batches(predictor, readings):
        for number, found in zip(
            batch.numbers, batch.by_word(_lengths(predictor, batch)), strict=True
        ):
            effects[number] = found
    return effects


def _lengths(predictor: Predictor, batch: ReadBatch) -> Array:
    """Return the length of the gradient at each token, (n, length)."""
    labels = torch.tensor([reading.label for reading in batch.readings], device=batch.ids.device)
    gradient = loss_gradient(predictor.model, batch.ids, batch.mask, labels)
    lengths: Array = gradient.norm(dim=-1).cpu().numpy()
    return lengths
