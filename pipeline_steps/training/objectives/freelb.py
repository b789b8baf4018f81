"""FreeLB: the mean loss along the way uphill, at the price of the way alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from pipeline_steps.training.objectives.perturbation import (
    DropoutReplay,
    onto_ball,
    token_mask,
    uniform_noise,
    unit_rows,
)
from pipeline_steps.training.objectives.step import Step


@dataclass(frozen=True)
class FreeLB:
    """The mean of the losses at K points of an ascent: a K times larger virtual batch.

    Zhu et al. 2020 (ICLR, arXiv 1909.11764), algorithm 1: start with ``U(-m, m) / sqrt(N)``; at
    each of K points add ``1/K`` of the gradient by the weights to the step's, and go
    ``delta <- project(delta + step_size g / ||g||_F)``, per row. All K passes of a batch have the
    same dropout masks (their section 3.3): the random numbers of the first are repeated.

    As in the paper, the gradients by weights and by perturbation come from one backward pass, and
    one graph is alive at a time; the returned loss hands the summed gradients on when it is
    differentiated. Deviation: the last point is not moved on, since nobody would use it.

    Parameters
    ----------
    step_size : float
        Length of one ascent step, in units of the model's embeddings.
    initial_magnitude : float
        m of the start.
    epsilon : float
        Radius of the ball of each row's perturbation; 0: no projection, as in many of their runs.
    steps : int
        K.
    generator : Generator, optional
        Of the start. By default torch's own, whose state the trainer's checkpoints hold.
    """

    step_size: float = 0.1
    initial_magnitude: float = 0.1
    epsilon: float = 0.6
    steps: int = 3
    generator: torch.Generator | None = None
    replaces_clean_loss: ClassVar[bool] = True
    perturbs_embeddings: ClassVar[bool] = True

    def __call__(self, step: Step) -> torch.Tensor:
        """Return the mean loss; differentiating it yields the mean of the K gradients."""
        mask = token_mask(step)
        delta = self._start(step, mask)
        weights = [weight for weight in step.model.parameters() if weight.requires_grad]
        total = torch.zeros((), device=delta.device)
        sums: list[torch.Tensor | None] = [None] * len(weights)
        replay = DropoutReplay(delta.device)
        for _ in range(self.steps):
            replay.rewind()
            loss, uphill, gradients = _differentiated(step, delta, weights, self.steps)
            total = total + loss
            sums = [_plus(one, other) for one, other in zip(sums, gradients, strict=True)]
            delta = self._project(delta + self.step_size * unit_rows(uphill * mask))
        return _handing_on(total, weights, sums)

    def _start(self, step: Step, mask: torch.Tensor) -> torch.Tensor:
        like = step.embeddings().detach()
        return self._project(uniform_noise(like, mask, self.initial_magnitude, self.generator))

    def _project(self, delta: torch.Tensor) -> torch.Tensor:
        return onto_ball(delta, self.epsilon) if self.epsilon > 0 else delta


def _differentiated(
    step: Step, delta: torch.Tensor, weights: Sequence[torch.Tensor], n_points: int
) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor | None, ...]]:
    """Return 1/K of the loss at a point, and its gradients by perturbation and by weights."""
    moved = delta.detach().requires_grad_()
    embedded = step.embeddings()
    loss = step.loss_of(step.forward(embedded + moved.to(embedded.dtype))) / n_points
    uphill, *gradients = torch.autograd.grad(loss, [moved, *weights], allow_unused=True)
    return loss.detach(), uphill.float(), tuple(gradients)


def _plus(one: torch.Tensor | None, other: torch.Tensor | None) -> torch.Tensor | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other


def _handing_on(
    value: torch.Tensor, weights: Sequence[torch.Tensor], gradients: Sequence[torch.Tensor | None]
) -> torch.Tensor:
    """Return ``value`` such that differentiating it yields the given gradients."""
    pairs = [(w, g) for w, g in zip(weights, gradients, strict=True) if g is not None]
    handed: torch.Tensor = _HandOn.apply(  # type: ignore[no-untyped-call]
        value, len(pairs), *(g for _, g in pairs), *(w for w, _ in pairs)
    )
    return handed


class _HandOn(torch.autograd.Function):
    """A loss whose gradients are already known."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor, n: int, *tensors: torch.Tensor) -> torch.Tensor:
        ctx.gradients = tensors[:n]
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (scale,) = upstream
        # None for value, n and the gradients themselves.
        nothing = (None,) * (2 + len(ctx.gradients))
        return (*nothing, *(gradient * scale.to(gradient.dtype) for gradient in ctx.gradients))
