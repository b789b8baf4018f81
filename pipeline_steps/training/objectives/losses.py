"""Losses of a classifier: smoothed or focal cross-entropy, weighted by class.

All are summed over the rows that count and divided by ``n_items``, the items of all accumulated
batches, so that the gradient of an accumulated step equals that of one large batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from pipeline_steps.errors import TrainingError

IGNORED = -100
"""Label of what does not count, as in torch."""


def smoothed_cross_entropy(
    logits: torch.Tensor,
    labels: torch.Tensor,
    *,
    n_items: float,
    label_smoothing: float = 0.0,
    class_weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the summed cross-entropy over ``n_items``.

    Parameters
    ----------
    logits : Tensor
        (..., classes)
    labels : Tensor
        (...); -100 does not count.
    n_items : float
        What the sum is divided by. With class weights it is still the number of items, not of
        weights: weights of mean 1 over the training rows keep the loss on its scale.
    label_smoothing : float
        Share of the target that is spread over all classes (Szegedy et al. 2016, section 7).
    class_weights : Tensor, optional
        (classes,)

    Examples
    --------
    >>> smoothed_cross_entropy(torch.zeros(2, 4), torch.tensor([0, 3]), n_items=2)
    tensor(1.3863)
    """
    total = functional.cross_entropy(
        logits.float().flatten(0, -2),
        labels.flatten(),
        weight=class_weights,
        ignore_index=IGNORED,
        reduction="sum",
        label_smoothing=label_smoothing,
    )
    return total / n_items


def focal_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    *,
    n_items: float,
    gamma: float = 2.0,
    class_weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the summed ``-w_y (1 - p_y)^gamma log p_y`` over ``n_items``.

    Lin et al. 2017, equation 5, with softmax in place of the sigmoid of their binary detector;
    gamma 2 is their choice (table 1b). At gamma 0 it is the cross-entropy.

    Parameters
    ----------
    logits, labels, n_items, class_weights
        As of :func:`smoothed_cross_entropy`; the weights are the paper's alpha.
    gamma : float
        How much less a row counts that is already right.

    Examples
    --------
    >>> focal_loss(torch.zeros(1, 2), torch.tensor([0]), n_items=1)  # log 2 / 4
    tensor(0.1733)
    """
    rows, targets = logits.float().flatten(0, -2), labels.flatten()
    counted = targets != IGNORED
    rows, targets = rows[counted], targets[counted]
    log_p = rows.log_softmax(dim=-1).gather(1, targets.unsqueeze(1)).squeeze(1)  # (rows,)
    # 1 - p from its logarithm: exact also where p is almost 1.
    missed = -torch.expm1(log_p)
    # A row that is surely right has 0^gamma, whose slope is not finite for gamma below 1.
    weights = missed.clamp_min(torch.finfo(missed.dtype).tiny).pow(gamma)
    if class_weights is not None:
        weights = weights * class_weights[targets]
    return -(weights * log_p).sum() / n_items


def categorical_divergence(
    logits: torch.Tensor, target: torch.Tensor, *, n_items: float
) -> torch.Tensor:
    """Return the summed KL(target || outputs) of rows of logits (..., classes) over ``n_items``.

    Gradients flow into both.

    Examples
    --------
    >>> even, sure = torch.zeros(1, 2), torch.tensor([[0.0, -torch.inf]])
    >>> categorical_divergence(even, sure, n_items=1)  # log 2
    tensor(0.6931)
    """
    log_p, log_q = target.float().log_softmax(-1), logits.float().log_softmax(-1)
    # Where the target has no mass the term is 0, not 0 times -inf, and so is its gradient.
    difference = torch.where(log_p.isneginf(), 0.0, log_p - log_q)
    return (log_p.exp() * difference).sum() / n_items


def balanced_weights(counts: Sequence[int]) -> torch.Tensor:
    """Return weights ``rows / (classes * count)``: every class weighs the same, the mean row 1.

    Examples
    --------
    >>> balanced_weights([3, 1])
    tensor([0.6667, 2.0000])
    """
    n = _counted(counts)
    return (n.sum() / (len(n) * n)).float()


def effective_number_weights(counts: Sequence[int], beta: float = 0.999) -> torch.Tensor:
    """Return weights by the inverse effective number ``(1 - beta^n) / (1 - beta)``.

    Cui et al. 2019, equation 2; they try beta 0.9 to 0.9999. Deviation: they scale the weights to a
    sum of the number of classes, here the mean over training *rows* is 1, so that the loss keeps
    its scale. Beta 0 gives every row the weight 1, beta near 1 gives :func:`balanced_weights`.

    Examples
    --------
    >>> effective_number_weights([2, 1], beta=0.5)  # effective numbers 1.5 and 1
    tensor([0.8571, 1.2857])
    """
    n = _counted(counts)
    inverse = (1.0 - beta) / (1.0 - beta**n)
    return (inverse * n.sum() / (inverse * n).sum()).float()


def _counted(counts: Sequence[int]) -> torch.Tensor:
    if not counts or min(counts) < 1:
        raise TrainingError(
            f"training rows of each class: {list(counts)}",
            expected="at least one row of each class, to weigh classes by their rows",
            fix="add rows of the class without any, or set finetune.loss.class_weights to none",
        )
    return torch.tensor(counts, dtype=torch.float64)
