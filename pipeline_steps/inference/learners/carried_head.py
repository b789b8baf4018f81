"""A base that already has a head of the same kind: its answers go where the same names stand.

Loaded by shape alone, the weights of one label would become those of another whenever two sets of
labels are of one size, and would be lost whenever they are not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"


def carry_head(model: Any, base: Path, outputs: Sequence[str]) -> set[str]:
    """Return the names of the output layer's parameters where the base had such a layer.

    Outputs whose names the base knew have its weights, the others are drawn anew.

    Parameters
    ----------
    model : PreTrainedModel
        As loaded from the base, whatever its head is now.
    base : Path
        Directory of the base.
    outputs : sequence of str
        What the model is to put out, by name.
    """
    known = _known_outputs(type(model).__name__, base)
    layer = output_layer(model, len(outputs))
    if layer is None or not known:
        return set()
    name, linear = layer
    before = _tensors(base, f"{name}.")
    if any(len(tensor) != len(known) for tensor in before.values()) or not before:
        return set()
    if known != list(outputs):
        _fill(linear, before, [known.index(o) if o in known else None for o in outputs], model)
    return {f"{name}.{part}" for part, _ in linear.named_parameters()}


def _known_outputs(kind: str, base: Path) -> list[str]:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(base, local_files_only=True)
    if kind not in (config.architectures or ()):
        return []
    return list(config.id2label.values())


def output_layer(model: Any, n_outputs: int) -> tuple[str, torch.nn.Linear] | None:
    """Return the last matrix outside the body and its name, where it has as many outputs."""
    body = f"{model.base_model_prefix}."
    linears = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and not name.startswith(body)
    ]
    return linears[-1] if linears and linears[-1][1].out_features == n_outputs else None


def _tensors(base: Path, prefix: str) -> dict[str, torch.Tensor]:
    """Return the tensors below a prefix, whether the weights are in one file or in shards."""
    from safetensors import safe_open

    found = {}
    for file in _files(base):
        with safe_open(file, framework="pt") as content:
            for name in content.keys():  # noqa: SIM118
                if name.startswith(prefix):
                    found[name.removeprefix(prefix)] = content.get_tensor(name)
    return found


def _files(base: Path) -> list[Path]:
    if (base / _WEIGHTS).is_file() or not (base / _INDEX).is_file():
        return [base / _WEIGHTS]
    index = json.loads((base / _INDEX).read_text(encoding="utf-8"))
    return [base / shard for shard in sorted(set(index["weight_map"].values()))]


@torch.no_grad()
def _fill(
    linear: torch.nn.Linear,
    before: Mapping[str, torch.Tensor],
    places: Sequence[int | None],
    model: Any,
) -> None:
    """Set each output from its place among those before, or anew."""
    linear.weight.normal_(0.0, getattr(model.config, "initializer_range", 0.02))
    if linear.bias is not None:
        linear.bias.zero_()
    mine = [index for index, place in enumerate(places) if place is not None]
    theirs = [place for place in places if place is not None]
    for part, parameter in linear.named_parameters():
        if part in before:
            parameter[mine] = before[part][theirs].to(parameter.dtype)
