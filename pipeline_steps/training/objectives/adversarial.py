"""Adversarial training on embeddings: FGM and PGD.

Both add the loss of a perturbed batch to that of the clean one. The perturbed pass draws dropout
masks of its own, as in the common implementations; FreeLB, which does not, is in its own module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from pipeline_steps.training.objectives.perturbation import (
    clean_uphill,
    onto_ball,
    perturbed,
    token_mask,
    uniform_noise,
    unit_rows,
    uphill,
)
from pipeline_steps.training.objectives.step import Step


@dataclass(frozen=True)
class FGM:
    """The loss at ``x + epsilon g / ||g||``, g the gradient of the clean loss by the embeddings.

    Miyato, Dai, Goodfellow 2017 (ICLR, arXiv 1605.07725), equations 3 and 5. The norm is taken over
    the whole text, as there. Deviation: they normalise word embeddings to mean 0 and variance 1, so
    that the model cannot outgrow epsilon; pre-trained embeddings are left as they are.

    Parameters
    ----------
    epsilon : float
        L2 norm of each row's perturbation, in units of the model's embeddings.
    weight : float
        Of the adversarial loss beside the clean one; the paper has 1.
    replaces_clean_loss : bool
        Whether to train on the perturbed batch alone.
    """

    epsilon: float = 1.0
    weight: float = 1.0
    replaces_clean_loss: bool = False
    perturbs_embeddings: ClassVar[bool] = True
    reads_clean_gradient: ClassVar[bool] = True

    def __call__(self, step: Step) -> torch.Tensor:
        """Return the weighted loss of the perturbed batch."""
        delta = self.epsilon * unit_rows(clean_uphill(step))
        return self.weight * step.loss_of(perturbed(step, delta))


@dataclass(frozen=True)
class PGD:
    """The loss at the end of projected gradient ascent in an L2 ball around the embeddings.

    Madry et al. 2018 (ICLR, arXiv 1706.06083), equation 2.1 and section 2.1, with steps
    ``delta <- project(delta + step_size g / ||g||)`` and the per-row Frobenius norm that Zhu et al.
    2020 use for text. Deviation: Madry et al. train on perturbed inputs only, here the loss is
    added to the clean one unless ``replaces_clean_loss``.

    Parameters
    ----------
    epsilon : float
        Radius of the ball of each row's perturbation, in units of the model's embeddings.
    step_size : float
        Length of one ascent step.
    steps : int
        Ascent steps; each costs a forward pass and half a backward pass.
    initial_magnitude : float
        0 starts at the clean batch; else as FreeLB starts, within the ball.
    weight : float
        Of the adversarial loss beside the clean one.
    replaces_clean_loss : bool
        Whether to train on the perturbed batch alone, as Madry et al.
    generator : Generator, optional
        Of the start. By default torch's own, whose state the trainer's checkpoints hold: a resume
        draws the same.
    """

    epsilon: float = 1.0
    step_size: float = 0.3
    steps: int = 3
    initial_magnitude: float = 0.0
    weight: float = 1.0
    replaces_clean_loss: bool = False
    generator: torch.Generator | None = None
    perturbs_embeddings: ClassVar[bool] = True
    reads_clean_gradient: ClassVar[bool] = True

    def __call__(self, step: Step) -> torch.Tensor:
        """Return the weighted loss of the perturbed batch."""
        return self.weight * step.loss_of(perturbed(step, self.attack(step)))

    def attack(self, step: Step) -> torch.Tensor:
        """Return the perturbation (n, length, width): within the ball, 0 at padding."""
        delta = self._start(step)
        for number in range(self.steps):
            if number == 0 and self.initial_magnitude == 0.0:
                gradient = clean_uphill(step)
            else:
                gradient = uphill(step, delta, step.loss_of)
            delta = onto_ball(delta + self.step_size * unit_rows(gradient), self.epsilon)
        return delta

    def _start(self, step: Step) -> torch.Tensor:
        like = step.embeddings().detach()
        noise = uniform_noise(like, token_mask(step), self.initial_magnitude, self.generator)
        return onto_ball(noise, self.epsilon)
