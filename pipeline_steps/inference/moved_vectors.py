"""Word vectors that are moved while a model reads ids as ever, so that all it reads stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def moved_vectors(model: Any, moves: torch.Tensor) -> Iterator[None]:
    """Add moves (n, length, width) to the word vectors that a model looks up.

    A model that is given vectors in the place of ids does not see where padding and the second text
    are; here it does. A decoder that reads the encoder's text again, one place later, reads the
    same words, so it is given the same moves.
    """
    first: list[torch.Tensor] = []

    def moved(_module: torch.nn.Module, inputs: Any, vectors: torch.Tensor) -> torch.Tensor:
        ids = inputs[0]
        if not first:
            first.append(ids)
        if torch.equal(ids, first[0]):
            return vectors + moves
        if torch.equal(ids[:, 1:], first[0][:, :-1]):
            return vectors + torch.nn.functional.pad(moves[:, :-1], (0, 0, 1, 0))
        return vectors

    handles = [table.register_forward_hook(moved) for table in _tables(model)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def loss_gradient(
    model: Any, ids: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Return the gradient (n, length, width) of the summed loss of labels at the word vectors."""
    table = model.get_input_embeddings()
    shape = (*ids.shape, table.weight.shape[1])
    with torch.enable_grad():
        moves = torch.zeros(shape, device=ids.device, dtype=table.weight.dtype).requires_grad_()
        with moved_vectors(model, moves):
            logits = model(input_ids=ids, attention_mask=mask).logits.float()
        loss = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, moves)
    found: torch.Tensor = gradient.float()
    return found


def _tables(model: Any) -> list[torch.nn.Module]:
    """Return the modules that look words up.

    T5 and BART read through embeddings of encoder and decoder, and not through the one that they
    report: it only shares its weights with them.
    """
    table = model.get_input_embeddings()
    others = (m for m in model.modules() if isinstance(m, torch.nn.Embedding) and m is not table)
    return [table, *(m for m in others if m.weight is table.weight)]
