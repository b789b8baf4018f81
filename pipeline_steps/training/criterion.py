"""From ``finetune.loss`` to the criterion that a learner sums up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from pipeline_steps.inference.learners.losses import Criterion, cross_entropy_sum
from pipeline_steps.objective_params import LossParams
from pipeline_steps.training.objectives.losses import (
    balanced_weights,
    effective_number_weights,
    focal_loss,
    smoothed_cross_entropy,
)

_WEIGHTS = {"balanced": balanced_weights, "effective": effective_number_weights}


@dataclass(frozen=True)
class _Smoothed:
    label_smoothing: float
    class_weights: torch.Tensor | None

    def __call__(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return smoothed_cross_entropy(
            logits,
            labels,
            n_items=1,
            label_smoothing=self.label_smoothing,
            class_weights=_beside(logits, self.class_weights),
        )


@dataclass(frozen=True)
class _Focal:
    gamma: float
    class_weights: torch.Tensor | None

    def __call__(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        weights = _beside(logits, self.class_weights)
        return focal_loss(logits, labels, n_items=1, gamma=self.gamma, class_weights=weights)


def criterion_of(
    params: LossParams, classes: Iterable[int], device: torch.device | None = None
) -> Criterion:
    """Return the criterion of ``finetune.loss``.

    Parameters
    ----------
    params : LossParams
        Kind, smoothing, gamma and how classes are weighed.
    classes : iterable of int
        The class of each term of the loss over the training rows, for the weights.
    device : device, optional
        Where the model runs.
    """
    if params == LossParams():
        return cross_entropy_sum
    weights = _class_weights(params, Counter(classes))
    weights = weights if weights is None or device is None else weights.to(device)
    if params.kind == "focal":
        return _Focal(params.gamma, weights)
    return _Smoothed(params.label_smoothing, weights)


def _class_weights(params: LossParams, counts: Counter[int]) -> torch.Tensor | None:
    """Return the weight of each class up to the last that occurs; 1 for one that does not.

    Tags such as I-person may be asked of a model and be in no training row.
    """
    if params.class_weights == "none":
        return None
    present = sorted(counts)
    weights = torch.ones(present[-1] + 1)
    weights[present] = _WEIGHTS[params.class_weights]([counts[index] for index in present])
    return weights


def _beside(logits: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor | None:
    """Return one weight for each column of the logits: 1 for classes beyond the last counted."""
    if weights is None or len(weights) == logits.shape[-1]:
        return weights
    missing = weights.new_ones(logits.shape[-1] - len(weights))
    return torch.cat([weights, missing])
