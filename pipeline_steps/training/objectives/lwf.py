"""Learning without forgetting: on new rows, still say what the old model said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from pipeline_steps.training.objectives.outputs import mapped_logits
from pipeline_steps.training.objectives.step import Step
from pipeline_steps.training.objectives.teachers import LiveTeacher, mean_divergence, target_logits


@dataclass(frozen=True)
class LwF:
    """``weight * KL(old at T || new at T)`` on the new rows, beside their own loss.

    Li and Hoiem 2016 (ECCV, arXiv 1606.09282), equations 2 and 3, with T 2 and weight 1 as there.
    Their modified cross-entropy differs from the KL by a constant. Deviations: one head serves old
    and new labels, so old answers hold for ``old_classes`` of it; no warm-up of a new head.

    The old model's answers are best recorded once, as in the paper: columns ``old_logits``.

    Parameters
    ----------
    weight : float
        The paper's lambda_o.
    temperature : float
        T.
    old_model : LiveTeacher, optional
        Asked where no answers are recorded.
    old_classes : tuple of int, optional
        Where the old model's classes stand among the new model's; None: both have the same.
    """

    weight: float = 1.0
    temperature: float = 2.0
    old_model: LiveTeacher | None = None
    old_classes: tuple[int, ...] | None = None
    replaces_clean_loss: ClassVar[bool] = False

    def __call__(self, step: Step) -> torch.Tensor:
        """Return the weighted divergence from the old model's answers."""
        old = () if self.old_model is None else (self.old_model,)
        target = target_logits(step, old, recorded="old")
        mine = mapped_logits(step.outputs, self._old_columns)
        return self.weight * mean_divergence(step, mine, target, self.temperature)

    def _old_columns(self, logits: torch.Tensor) -> torch.Tensor:
        return logits if self.old_classes is None else logits[..., list(self.old_classes)]
