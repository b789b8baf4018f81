"""Which word in the place of another would do most harm, by one backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pipeline_steps.inference.moved_vectors import loss_gradient
from pipeline_steps.inference.readings import Place, Reading, Span, tokens_of
from pipeline_steps.inference.tokenization import WORD_STARTS

if TYPE_CHECKING:
    from pipeline_steps.inference.predictor import Predictor

Gains = list[list[tuple[str, float]]]
_LEAST_LETTERS = 3


def word_flips(predictor: Predictor, reading: Reading, most: int) -> Gains:
    """Return for each word of a row the flips of greatest first-order gain (Ebrahimi et al. 2018).

    The gain of writing word b where a stands is g . (e_b - e_a), with the loss's gradient g at a's
    embedding, turned round where the label is wanted. Only words that are one token are flipped,
    and only into whole words of the victim's vocabulary; the others get an empty list.
    """
    ids, names = whole_words(predictor.tokenizer)
    with torch.no_grad():
        tokens, gradient, vectors, table = _read(predictor, reading)
        targets = table[torch.tensor(ids, device=table.device)].float()
        return [
            [] if token is None else _best(gradient[token], vectors[token], targets, names, most)
            for token in tokens
        ]


def shared_flips(predictor: Predictor, readings: Sequence[Reading], most: int) -> Gains:
    """Return for each word that all rows have in one place the flips that harm them most together.

    The gain is that of :func:`word_flips`, added up over the rows (Wallace et al. 2019, eq. 2). The
    rows have the same words, as many of them.
    """
    ids, names = whole_words(predictor.tokenizer)
    with torch.no_grad():
        read = [_read(predictor, reading) for reading in readings]
        table = read[0][3]
        targets = table[torch.tensor(ids, device=table.device)].float()
        found: Gains = []
        for word in range(len(readings[0].words)):
            at = [(g[t[word]], v[t[word]]) for t, g, v, _ in read if t[word] is not None]
            gradient = torch.stack([g for g, _ in at]).sum(dim=0) if at else None
            found.append(
                [] if gradient is None else _best(gradient, at[0][1], targets, names, most)
            )
    return found


def _read(predictor: Predictor, reading: Reading) -> tuple[list[int | None], Any, Any, Any]:
    """Return the token of each word, the way to harm at all, their vectors and the table of all."""
    (ids,), (places,) = tokens_of(predictor, [reading])
    return _single_tokens(places, reading.words), *_gradient(predictor, ids, reading)


def whole_words(tokenizer: Any) -> tuple[list[int], list[str]]:
    """Return the tokens that are English words of a few letters or more: ids and spellings."""
    vocabulary = sorted((i, token) for token, i in tokenizer.get_vocab().items())
    marked = any(token[:1] in WORD_STARTS for _, token in vocabulary)
    found = [
        (i, token[1:] if marked else token)
        for i, token in vocabulary
        if not marked or token[:1] in WORD_STARTS
    ]
    kept = [(i, w) for i, w in found if w.isascii() and w.isalpha() and len(w) >= _LEAST_LETTERS]
    return [i for i, _ in kept], [word for _, word in kept]


def _gradient(predictor: Predictor, token_ids: list[int], reading: Reading) -> tuple[Any, Any, Any]:
    """Return the way to harm at the embeddings of a row, those, and the table of all.

    It is up the loss of a label that is to be left, and down the loss of one that is wanted.
    """
    model: Any = predictor.model
    table = model.get_input_embeddings().weight
    ids = torch.tensor([token_ids], device=table.device)
    label = torch.tensor([reading.label], device=table.device)
    gradient = loss_gradient(model, ids, torch.ones_like(ids), label)
    way = -gradient[0] if reading.wanted else gradient[0]
    return way, table[ids[0]].detach().float(), table.detach()


def _best(
    gradient: Any, vector: Any, targets: Any, names: list[str], most: int
) -> list[tuple[str, float]]:
    gains = (targets @ gradient - vector @ gradient).cpu().numpy()
    order = np.argsort(-gains, kind="stable")[:most]
    return [(names[place], float(gains[place])) for place in order]


def _single_tokens(places: Sequence[Place], words: Sequence[Span]) -> list[int | None]:
    """Return the token of each word that is exactly one token."""
    tokens = {place: token for token, place in enumerate(places)}
    return [tokens.get(word) for word in words]
