"""Small moves of input embeddings: where, how far, and uphill in which direction.

Nothing here writes a parameter's ``.grad``: gradients are taken with ``torch.autograd.grad``, so
that attacks work when the embeddings are frozen (LoRA) and leave accumulated gradients alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from pipeline_steps.training.objectives.step import Step

_TINY = 1e-30  # fp32's smallest normal number is 1.2e-38


def token_mask(step: Step) -> torch.Tensor:
    """Return 1.0 where there is a token and 0.0 at padding, (n, length, 1)."""
    return step.mask.unsqueeze(-1).float()


def row_norms(delta: torch.Tensor) -> torch.Tensor:
    """Return the Frobenius norm of each row's perturbation, (n, 1, 1).

    Examples
    --------
    >>> row_norms(torch.tensor([[[3.0], [4.0]]]))
    tensor([[[5.]]])
    """
    norms: torch.Tensor = torch.linalg.vector_norm(delta, dim=(1, 2), keepdim=True)
    return norms


def unit_rows(gradient: torch.Tensor) -> torch.Tensor:
    """Return each row's direction, of norm 1; a row without gradient stays 0."""
    return gradient / row_norms(gradient).clamp_min(_TINY)


def onto_ball(delta: torch.Tensor, radius: float) -> torch.Tensor:
    """Return perturbations, those of rows beyond ``radius`` scaled back onto the sphere.

    Examples
    --------
    >>> onto_ball(torch.tensor([[[3.0], [4.0]]]), radius=1.0)
    tensor([[[0.6000],
             [0.8000]]])
    """
    return delta * (radius / row_norms(delta).clamp_min(_TINY)).clamp_max(1.0)


def uniform_noise(
    like: torch.Tensor, mask: torch.Tensor, magnitude: float, generator: torch.Generator | None
) -> torch.Tensor:
    """Return noise ``U(-magnitude, magnitude) / sqrt(N)`` with N the numbers of each row.

    Its norm is about ``magnitude / sqrt(3)``, whatever a row's length (Zhu et al. 2020).
    """
    noise = torch.empty_like(like, dtype=torch.float32).uniform_(-1.0, 1.0, generator=generator)
    dimensions = mask.sum(dim=(1, 2), keepdim=True) * like.shape[-1]
    return noise * mask * (magnitude / dimensions.clamp_min(1.0).sqrt())


def normal_noise(
    like: torch.Tensor, mask: torch.Tensor, deviation: float, generator: torch.Generator | None
) -> torch.Tensor:
    """Return noise ``N(0, deviation^2)`` in every number of every token."""
    noise = torch.empty_like(like, dtype=torch.float32).normal_(0.0, deviation, generator=generator)
    return noise * mask


def perturbed(step: Step, delta: torch.Tensor) -> Any:
    """Return the model's outputs for the batch moved by ``delta``, with gradients to the model."""
    embedded = step.embeddings()
    return step.forward(embedded + delta.to(embedded.dtype))


def uphill(step: Step, delta: torch.Tensor, measure: Callable[[Any], torch.Tensor]) -> torch.Tensor:
    """Return the gradient of ``measure(outputs)`` with respect to ``delta``, 0 at padding."""
    moved = delta.detach().requires_grad_()
    embedded = step.embeddings().detach()
    value = measure(step.forward(embedded + moved.to(embedded.dtype)))
    (gradient,) = torch.autograd.grad(value, moved)
    return gradient.float() * token_mask(step)


def clean_uphill(step: Step) -> torch.Tensor:
    """Return the gradient of the clean loss with respect to the embeddings, 0 at padding.

    Taken from the clean pass itself where the step keeps it, which saves a forward pass and gives
    the direction under the very dropout mask of the clean loss.
    """
    if not step.keeps_embeddings:
        zero = torch.zeros_like(step.embeddings(), dtype=torch.float32)
        return uphill(step, zero, step.loss_of)
    (gradient,) = torch.autograd.grad(step.loss, step.clean_embeddings, retain_graph=True)
    return gradient.float() * token_mask(step)


class DropoutReplay:
    """Repeats the random numbers of a forward pass, and with them its dropout masks.

    Parameters
    ----------
    device : device
        Where the model runs.
    """

    def __init__(self, device: torch.device) -> None:
        self._random: Any = torch if device.type == "cpu" else torch.get_device_module(device)
        self._state = self._random.get_rng_state()

    def rewind(self) -> None:
        """Go back to where the random numbers were when this object was made."""
        self._random.set_rng_state(self._state)
