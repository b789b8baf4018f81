"""Supervised contrastive learning: texts of one label near each other, others apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch.nn import functional

from pipeline_steps.errors import TrainingError
from pipeline_steps.training.objectives.step import Step

Pooling = Literal["auto", "first", "last", "mean"]


@dataclass(frozen=True)
class SupervisedContrastive:
    """``(1 - weight) * clean loss + weight * SCL`` over the rows of the batch.

    Gunel et al. 2021 (ICLR, arXiv 2011.01403), equations 1 to 3, which is L_out of Khosla et al.
    2020 (arXiv 2004.11362, equation 2) on one view of each text. A row without another of its label
    in the batch contributes nothing: batches under a token budget hold few rows of long texts, and
    with many labels most rows stay alone.

    Parameters
    ----------
    weight : float
        The paper's lambda.
    temperature : float
        Of the similarities.
    pooling : {"auto", "first", "last", "mean"}
        Which token's last hidden state stands for a text: see :func:`representation`.
    """

    weight: float = 0.9
    temperature: float = 0.3
    pooling: Pooling = "auto"
    replaces_clean_loss: ClassVar[bool] = True
    needs_hidden_states: ClassVar[bool] = True
    needs_one_label: ClassVar[bool] = True

    def __call__(self, step: Step) -> torch.Tensor:
        """Return the mixture of clean and contrastive loss."""
        if step.labels.ndim != 1 or step.labels.is_floating_point():
            raise TrainingError(
                f"contrastive learning was given labels of shape {tuple(step.labels.shape)}",
                expected="one label for each text",
                fix="take contrastive out of finetune.objective in params.yaml",
            )
        vectors = representation(step, self.pooling)
        contrast = contrastive_loss(
            vectors, step.labels, temperature=self.temperature, n_items=step.n_items
        )
        return (1.0 - self.weight) * step.loss + self.weight * contrast


def contrastive_loss(
    vectors: torch.Tensor, labels: torch.Tensor, *, temperature: float, n_items: float
) -> torch.Tensor:
    """Return the summed contrastive loss of rows with a positive over ``n_items``.

    For row i it is the mean over the other rows p of its label of
    ``-log exp(z_i z_p / t) / sum over a != i of exp(z_i z_a / t)``, with z of length 1.

    Parameters
    ----------
    vectors : Tensor
        (n, width); their length does not matter.
    labels : Tensor
        (n,)
    temperature : float
        t
    n_items : float
        Rows of the whole step.

    Examples
    --------
    >>> three = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    >>> one = torch.tensor([0, 0, 1])  # two rows, each with -log(e / (e + 1))
    >>> contrastive_loss(three, one, temperature=1.0, n_items=2)
    tensor(0.3133)
    """
    directions = functional.normalize(vectors.float(), dim=-1)
    similarities = directions @ directions.T / temperature  # (n, n)
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    log_shares = similarities.masked_fill(itself, -torch.inf).log_softmax(dim=1)
    positives = (labels.unsqueeze(0) == labels.unsqueeze(1)) & ~itself
    sums = torch.where(positives, log_shares, 0.0).sum(dim=1)
    return -(sums / positives.sum(dim=1).clamp_min(1)).sum() / n_items


def representation(step: Step, pooling: Pooling = "auto") -> torch.Tensor:
    """Return the vector (n, width) of each text, from the last hidden states of the clean pass.

    ``first`` is the first token ([CLS], as Gunel et al.); ``last`` the last that is no padding,
    the only one that has seen the whole text where attention looks back; ``mean`` that over all
    tokens. ``auto`` takes the mean of an encoder-decoder's encoder, last for decoders, else first.

    Raises
    ------
    TrainingError
        If the clean pass did not keep its hidden states.
    """
    outputs = step.outputs
    encoded = getattr(outputs, "encoder_hidden_states", None)
    states = encoded if encoded is not None else getattr(outputs, "hidden_states", None)
    if states is None:
        raise TrainingError(
            "the clean pass kept no hidden states",
            expected="hidden states, for objectives that compare representations",
            fix="compute the loss with total_loss, or make the Step with keeps_hidden_states=True",
        )
    if pooling == "auto":
        pooling = "mean" if encoded is not None else _natural_pooling(step.model)
    return pooled(states[-1], step.mask, pooling)


def pooled(states: torch.Tensor, mask: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """Return one vector (n, width) for each row of hidden states (n, length, width).

    Padding may stand on either side.

    Examples
    --------
    >>> states = torch.tensor([[[1.0], [2.0], [9.0]]])
    >>> mask = torch.tensor([[1, 1, 0]])
    >>> [pooled(states, mask, how).item() for how in ("first", "last", "mean")]
    [1.0, 2.0, 1.5]
    """
    if pooling == "mean":
        weights = mask.unsqueeze(-1).to(states.dtype)
        return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(1)
    positions = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
    if pooling == "last":
        index = torch.where(mask > 0, positions, -1).amax(dim=1).clamp_min(0)
    else:
        index = torch.where(mask > 0, positions, mask.shape[1] - 1).amin(dim=1)
    return states[torch.arange(len(states), device=states.device), index]


def _natural_pooling(model: Any) -> Pooling:
    """Return ``last`` if attention looks back only; transformers marks such layers."""
    looks_back = any(getattr(module, "is_causal", False) is True for module in model.modules())
    return "last" if looks_back else "first"
