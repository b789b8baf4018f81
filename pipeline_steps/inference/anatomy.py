"""Where a transformer keeps its layers, found by looking: no table of architectures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from pipeline_steps.errors import TrainingError

Module = torch.nn.Module


def body(model: Module) -> Module:
    """Return the part that came pre-trained: the model without its head."""
    base: Module = getattr(model, getattr(model, "base_model_prefix", "") or "", model)
    return base


def stacks(model: Module) -> tuple[Module, ...]:
    """Return the stacks of layers: the body, or the encoder and the decoder of one that has both.

    An encoder alone (the body of T5's token classifier) counts as one stack.
    """
    inner = body(model)
    parts = [getattr(inner, name, None) for name in ("encoder", "decoder")]
    whole = [part for part in parts if isinstance(part, Module) and hasattr(part, "embed_tokens")]
    return tuple(whole) or (inner,)


def layer_lists(model: Module) -> dict[str, torch.nn.ModuleList]:
    """Return the list of layers of each stack under its dotted name in the model.

    It is the longest list of modules that stands in no other list: T5 keeps a short list inside
    each of its layers.

    Raises
    ------
    TrainingError
        If a stack holds no list of modules.
    """
    names = {id(module): name for name, module in model.named_modules()}
    found = {}
    for stack in stacks(model):
        layers = _longest(_outermost_lists(stack), model)
        found[names[id(layers)]] = layers
    return found


def is_causal(model: Module) -> bool:
    """Return whether a position sees only what stands before it."""
    return any(getattr(module, "is_causal", False) is True for module in model.modules())


def embedding_parameters(model: Module) -> frozenset[str]:
    """Return the names of the parameters that turn ids and positions into vectors.

    They are those of every embedding table of the body, and of the modules named after embeddings
    (the norm that follows the tables). A table inside a layer (T5's relative positions) is the
    layer's.
    """
    inside = tuple(f"{name}." for name in layer_lists(model))
    tables = {
        id(parameter)
        for name, module in model.named_modules()
        for parameter in module.parameters(recurse=False)
        if isinstance(module, torch.nn.Embedding) or "embed" in name
    }
    # A shared table has several names, of which the model's parameters know the first.
    return frozenset(
        name
        for name, parameter in model.named_parameters()
        if id(parameter) in tables and not name.startswith(inside)
    )


def linears(module: Module) -> Mapping[str, Module]:
    """Return the matrices among the modules by name: Linear, and GPT-2's transposed Conv1D."""
    from transformers.pytorch_utils import Conv1D

    return {
        name: part
        for name, part in module.named_modules()
        if isinstance(part, (torch.nn.Linear, Conv1D))
    }


def output_width(linear: Any) -> int:
    """Return how many features a matrix of :func:`linears` puts out."""
    return int(linear.out_features if hasattr(linear, "out_features") else linear.nf)


def _outermost_lists(module: Module) -> list[torch.nn.ModuleList]:
    if isinstance(module, torch.nn.ModuleList):
        return [module]
    return [found for child in module.children() for found in _outermost_lists(child)]


def _longest(lists: list[torch.nn.ModuleList], model: Module) -> torch.nn.ModuleList:
    if not lists:
        raise TrainingError(
            f"{type(model).__name__} keeps its layers in no list of modules",
            expected="a model whose layers stand in a torch.nn.ModuleList",
            fix="choose a tuning that needs no layers: full, or head",
        )
    return max(lists, key=len)
