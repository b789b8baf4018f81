"""Word vectors that are moved while a model reads ids as ever, so that all it reads stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def moved_vectors(table: torch.nn.Module, moves: torch.Tensor) -> Iterator[None]:
    """Add moves (n, length, width) to what the table of word vectors returns.

    A model that is given vectors in the place of ids does not see where padding and the second text
    are; here it does.
    """
    handle = table.register_forward_hook(lambda _module, _inputs, vectors: vectors + moves)
    try:
        yield
    finally:
        handle.remove()


def loss_gradient(
    model: Any, ids: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Return the gradient (n, length, width) of the summed loss of labels at the word vectors."""
    table = model.get_input_embeddings()
    shape = (*ids.shape, table.weight.shape[1])
    with torch.enable_grad():
        moves = torch.zeros(shape, device=ids.device, dtype=table.weight.dtype).requires_grad_()
        with moved_vectors(table, moves):
            logits = model(input_ids=ids, attention_mask=mask).logits.float()
        loss = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, moves)
    found: torch.Tensor = gradient.float()
    return found
