"""Embeddings of texts for the distance score: recomputed when a monitor runs, never logged."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pipeline_steps.inference.word_vectors import TextVectors

Array = np.ndarray[Any, Any]
NEIGHBOURS = 2_000
"""Training rows that a distance is measured to; a sample of them, so that it stays cheap."""


def embedded(texts: Sequence[str]) -> Array:
    """Return embeddings (n, width) of length 1 by the base model that comes with Holdfast.

    It is the same for every champion and every problem. A text that is empty has none (NaN): its
    distance is not testable. Each different text is embedded once.
    """
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    vectors = np.array(_base_model().sentences(list(places)), dtype=np.float32)
    vectors[[not text.strip() for text in places]] = np.nan
    return np.asarray(vectors[[places[text] for text in texts]])


def sampled(texts: Sequence[str], seed: int) -> list[str]:
    """Return the training rows that distances are measured to, drawn by a seed."""
    order = np.random.default_rng(seed).permutation(len(texts))[:NEIGHBOURS]
    return [texts[place] for place in np.sort(order)]


@functools.cache
def _base_model() -> TextVectors:
    from pipeline_steps.inference.word_vectors import TextVectors

    return TextVectors.default()
