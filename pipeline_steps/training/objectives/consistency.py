"""R-Drop: two dropout masks, one opinion."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import torch

from pipeline_steps.training.objectives.outputs import halves, own_blocks
from pipeline_steps.training.objectives.step import Step


@dataclass(frozen=True)
class RDrop:
    """The mean loss of two passes plus ``alpha / 4 [KL(P||Q) + KL(Q||P)]``.

    Liang et al. 2021 (NeurIPS, arXiv 2106.14448), equations 2 to 4, halved: they add the losses of
    the two passes up, here their mean keeps the loss on the scale of an unregularised run. The
    balance, and with it alpha, is the paper's. Both passes are one forward pass of the doubled
    batch (their section 2.1), so that DDP sees one. Without dropout there is nothing to agree on
    and the second pass is wasted.

    Parameters
    ----------
    alpha : float
        Weight of the divergence.
    """

    alpha: float = 1.0
    replaces_clean_loss: ClassVar[bool] = True
    needs_dropout: ClassVar[bool] = True

    def __call__(self, step: Step) -> torch.Tensor:
        """Return the loss of the doubled batch."""
        doubled = _doubled(step)
        among_themselves = getattr(step.problem, "compares_rows", False)
        first, second = (own_blocks if among_themselves else halves)(doubled.outputs)
        divergence = step.problem.divergence
        there = divergence(first, second, step.labels, step.n_items)
        back = divergence(second, first, step.labels, step.n_items)
        loss = doubled.loss
        if among_themselves:
            losses = [step.problem.loss(p, step.labels, step.n_items) for p in (first, second)]
            loss = torch.stack(losses).mean()
        return loss + self.alpha / 4 * (there + back)


def _doubled(step: Step) -> Step:
    """Return the step with every row twice: first all rows, then all rows again."""
    n = len(step.labels)
    return dataclasses.replace(
        step,
        inputs={
            name: torch.cat([value, value]) if value.ndim and len(value) == n else value
            for name, value in step.inputs.items()
        },
        labels=torch.cat([step.labels, step.labels]),
        n_items=2 * step.n_items,
    )
