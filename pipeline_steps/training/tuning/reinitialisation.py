"""New random weights for the top layers, which pre-training bent to its own task."""

from __future__ import annotations

from typing import Any

import torch

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.anatomy import body, layer_lists
from pipeline_steps.training.tuning.method import seeded


def reinitialise_top(model: Any, n_layers: int, *, seed: int) -> None:
    """Draw the weights of the top layers, and of a pooler, as before pre-training.

    Parameters
    ----------
    model : Module
        A model of transformers; changed in place, with its architecture's own initialisation.
    n_layers : int
        Layers of each stack to draw anew. Zhang et al. used 1 to 6 of 24; which is best depends on
        the task.
    seed : int
        Same seed, same weights.

    Raises
    ------
    TrainingError
        If the model has fewer layers.

    References
    ----------
    Zhang, Wu, Katiyar, Weinberger & Artzi (2021). Revisiting few-sample BERT fine-tuning. ICLR,
    section 5.
    """
    parts = [part for layers in layer_lists(model).values() for part in _top(layers, n_layers)]
    pooler = getattr(body(model), "pooler", None)
    parts += [pooler] if isinstance(pooler, torch.nn.Module) else []
    with seeded(seed), torch.no_grad():
        for part in parts:
            _forget_that_it_was_loaded(part)
            part.apply(model._init_weights)  # noqa: SLF001 - no public name draws one part


def _top(layers: torch.nn.ModuleList, n_layers: int) -> list[torch.nn.Module]:
    if not 0 < n_layers <= len(layers):
        raise TrainingError(
            f"the top {n_layers} layers shall be drawn anew, and the model has {len(layers)}",
            expected=f"a number from 1 to {len(layers)}",
            fix="lower finetune.reinitialise_layers",
        )
    return list(layers)[-n_layers:]


def _forget_that_it_was_loaded(part: torch.nn.Module) -> None:
    # transformers 5 marks what it loaded, and its initialisation skips what is marked.
    for tensor in [*part.parameters(), *part.buffers(), *part.modules()]:
        tensor.__dict__.pop("_is_hf_initialized", None)
