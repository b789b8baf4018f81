"""Bottleneck adapters in frozen layers: Houlsby et al. (2019) and Pfeiffer et al. (2021).

Both put the adapter on the output of a sub-layer before the residual is added. Here it stands on
the matrix that ends the sub-layer, hence before that matrix's dropout; in the authors' code it
stands after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from pipeline_steps.inference.anatomy import body
from pipeline_steps.inference.unmerged.bottleneck import Activation, BottleneckSpec, Place
from pipeline_steps.inference.unmerged.storage import Unmerged, added_tensors, attach
from pipeline_steps.training.tuning.method import train_only


@dataclass(frozen=True)
class Adapters:
    """Bottleneck adapters, and the head, learn.

    Parameters
    ----------
    places : tuple of {"attention", "feed_forward"}
        Sub-layers that are adapted.
    activation : {"gelu", "relu"}
        The non-linearity.
    train_norms : bool
        Let the body's norms learn too.
    size : int or None
        Width of the bottleneck; None: the model's width over ``reduction``.
    reduction : int
        Read where ``size`` is None.
    seed : int
        Same seed, same initial adapters.
    """

    places: tuple[Place, ...]
    activation: Activation
    train_norms: bool
    size: int | None = None
    reduction: int = 16
    seed: int = 0

    def apply(self, model: torch.nn.Module, head_names: Sequence[str]) -> torch.nn.Module:
        """Return the model with adapters in its layers.

        Raises
        ------
        TrainingError
            If it is not known where the sub-layers of this architecture end.
        """
        generator = torch.Generator().manual_seed(self.seed)
        for adapter in attach(model, self.spec(model)):
            adapter.cpu().initialise(generator)
            adapter.to(next(model.parameters()).device)
        added = added_tensors(model.state_dict())
        norms = norm_parameters(model) if self.train_norms else set()
        train_only(model, set(added) | norms | set(head_names))
        return model

    def finish(self, model: torch.nn.Module) -> torch.nn.Module:
        """Return the model with the adapter that is saved beside its weights."""
        return Unmerged(model, self.spec(model))

    def spec(self, model: Any) -> BottleneckSpec:
        """Return what is saved of the method."""
        size = self.size or max(1, model.config.hidden_size // self.reduction)
        return BottleneckSpec(self.places, size, self.activation)


def houlsby(size: int = 64, *, seed: int = 0) -> Adapters:
    """Return adapters after attention and after the feed-forward; norms learn too.

    References
    ----------
    Houlsby et al. (2019). Parameter-efficient transfer learning for NLP. ICML, section 2.1.
    """
    return Adapters(("attention", "feed_forward"), "gelu", train_norms=True, size=size, seed=seed)


def pfeiffer(reduction: int = 16, *, seed: int = 0) -> Adapters:
    """Return adapters after the feed-forward alone; 16 and ReLU are AdapterHub's defaults.

    References
    ----------
    Pfeiffer et al. (2021). AdapterFusion: Non-destructive task composition for transfer learning.
    EACL.
    """
    return Adapters(("feed_forward",), "relu", train_norms=False, reduction=reduction, seed=seed)


def norm_parameters(model: torch.nn.Module) -> set[str]:
    """Return the names of the parameters of the body's norms."""
    inside = {id(parameter) for parameter in body(model).parameters()}
    return {
        f"{name}.{parameter_name}"
        for name, module in model.named_modules()
        for parameter_name, parameter in module.named_parameters(recurse=False)
        if "norm" in type(module).__name__.lower() and id(parameter) in inside
    }
