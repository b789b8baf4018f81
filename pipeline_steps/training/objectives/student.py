"""A student made of some of its teacher's layers."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

import torch

from pipeline_steps.errors import TrainingError


def every_nth_layer(n_layers: int, n: int = 2) -> tuple[int, ...]:
    """Return the layers 0, n, 2n, ... of ``n_layers``: one out of n, as DistilBERT was begun.

    Sanh et al. 2019 (arXiv 1910.01108), section 3: "taking one layer out of two".

    Examples
    --------
    >>> every_nth_layer(6)
    (0, 2, 4)
    """
    return tuple(range(0, n_layers, n))


def student_from_layers(teacher: Any, layers: Sequence[int]) -> Any:
    """Return a new model of the teacher's class that has copies of some of its layers.

    Embeddings, final norms and heads are the teacher's. The teacher is not changed.

    Parameters
    ----------
    teacher : PreTrainedModel
        With one stack of layers: BERT-like, DeBERTa, ModernBERT, GPT-2, Llama.
    layers : sequence of int
        Layers to keep, in order, counted from 0.

    Raises
    ------
    TrainingError
        If there is no such stack or no such layer, or if a layer only works where it was.
    """
    stack, n_layers = _stack(teacher)
    if not layers or not set(layers) <= set(range(n_layers)):
        raise TrainingError(
            f"layers to keep: {list(layers)}",
            expected=f"at least one of the teacher's layers 0 to {n_layers - 1}",
            fix="correct the layers of the student in params.yaml",
        )
    student = type(teacher)(_shortened(teacher.config, layers))
    if getattr(teacher, "pooler", student) is None:  # a bi-encoder has taken it out
        student.pooler = None
    try:
        student.load_state_dict(_renamed(teacher.state_dict(), stack, layers))
    except RuntimeError as error:
        # ModernBERT's first layer has no norm before attention, unlike the others.
        raise TrainingError(
            f"layers {list(layers)} of {type(teacher).__name__} do not fit in each other's place: "
            f"{error}",
            expected="layers that fit where they come to stand",
            fix="keep layer 0 as the first layer",
        ) from error
    return student


def _stack(model: Any) -> tuple[str, int]:
    """Return the name of the one list of layers, and how many they are."""
    n_layers = int(model.config.num_hidden_layers)
    found = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == n_layers
    ]
    # The outermost: a layer may hold lists of its own.
    stacks = [name for name in found if not any(name.startswith(f"{o}.") for o in found)]
    if len(stacks) != 1:
        raise TrainingError(
            f"{type(model).__name__} has {len(stacks)} stacks of {n_layers} layers",
            expected="a model with one stack: BERT-like or GPT-like",
            fix="distil this model into a smaller pre-trained one instead",
        )
    return stacks[0], n_layers


def _shortened(config: Any, layers: Sequence[int]) -> Any:
    shortened = copy.deepcopy(config)
    kinds = getattr(config, "layer_types", None)
    if kinds is not None:  # which layers attend globally: each keeps its kind
        shortened.layer_types = [kinds[layer] for layer in layers]
    shortened.num_hidden_layers = len(layers)
    return shortened


def _renamed(
    weights: dict[str, torch.Tensor], stack: str, layers: Sequence[int]
) -> dict[str, torch.Tensor]:
    """Return the weights without the layers that are left out, the kept ones renumbered."""
    places: dict[int, list[int]] = {}
    for place, layer in enumerate(layers):
        places.setdefault(layer, []).append(place)
    numbered = re.compile(rf"{re.escape(stack)}\.(\d+)\.(.*)")
    renamed = {}
    for name, weight in weights.items():
        match = numbered.fullmatch(name)
        if match is None:
            renamed[name] = weight
            continue
        for place in places.get(int(match[1]), ()):
            renamed[f"{stack}.{place}.{match[2]}"] = weight
    return renamed
