"""Summed losses: dividing by the terms of the whole accumulated step is the caller's business.

Dividing each batch by the terms of the whole step, not by its own, makes the gradient of an
accumulated step equal to that of one large batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

Criterion = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""The summed loss of logits (n, n_labels) and labels (n,); ``IGNORED`` labels add nothing."""

IGNORED = -100
"""The target of a token that no loss is asked of."""


def cross_entropy_sum(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the summed cross-entropy of logits (n, n_labels); ``IGNORED`` labels add nothing."""
    return torch.nn.functional.cross_entropy(
        logits.float(), labels, reduction="sum", ignore_index=IGNORED
    )


def divergence_sum(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the summed KL(target || outputs) of logits (n, n_labels) against target logits."""
    return torch.nn.functional.kl_div(
        torch.log_softmax(logits.float(), dim=-1),
        torch.log_softmax(target.float(), dim=-1),
        reduction="sum",
        log_target=True,
    )
