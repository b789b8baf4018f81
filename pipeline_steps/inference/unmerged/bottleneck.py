"""Bottleneck adapters: two small matrices with a non-linearity between, around them a skip.

They act through a hook on the matrix that ends a sub-layer, so the names and the class of the model
stay what they were.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.anatomy import layer_lists, linears, output_width

Place = Literal["attention", "feed_forward"]
Activation = Literal["gelu", "relu"]
NAME = "bottleneck_adapter"
"""What the module is called under the matrix whose output it changes."""

_ENDS: dict[Place, frozenset[str]] = {
    "attention": frozenset({
        "attention.output.dense",  # BERT, RoBERTa, DeBERTa, ELECTRA
        "attention.out_lin",  # DistilBERT
        "attn.Wo",  # ModernBERT
        "attn.c_proj",  # GPT-2
        "self_attn.o_proj",  # Llama and its kin
        "SelfAttention.o", "EncDecAttention.o",  # T5
        "self_attn.out_proj", "encoder_attn.out_proj",  # BART, Marian, Pegasus, OPT
        "attention.dense", "self_attention.dense",  # GPT-NeoX (Pythia); BLOOM, Falcon
    }),
    "feed_forward": frozenset({
        "output.dense", "ffn.lin2", "mlp.Wo", "mlp.c_proj", "mlp.down_proj", "DenseReluDense.wo",
        "fc2", "mlp.dense_4h_to_h",
    }),
}  # fmt: skip
"""The matrices that end the two sub-layers of a layer, by their name in it."""
_SUB_LAYER = re.compile(r"^layer\.\d+\.")  # T5 counts its sub-layers
_SPREAD = 1e-2


@dataclass(frozen=True)
class BottleneckSpec:
    """Which adapters a model carries.

    Parameters
    ----------
    places : tuple of {"attention", "feed_forward"}
        The sub-layers whose output is adapted, in every layer.
    size : int
        Width of the bottleneck.
    activation : {"gelu", "relu"}
        The non-linearity.
    """

    places: tuple[Place, ...]
    size: int
    activation: Activation
    kind: Literal["bottleneck"] = "bottleneck"


class Bottleneck(torch.nn.Module):
    """``x + up(activation(down(x)))``, with 2 * width * size + size + width parameters.

    Both matrices start near zero, so the adapter starts near the identity (Houlsby et al. 2019,
    section 2: a normal of deviation 0.01, cut off at two deviations).
    """

    def __init__(self, width: int, size: int, activation: Activation) -> None:
        super().__init__()
        self.down = torch.nn.Linear(width, size)
        self.up = torch.nn.Linear(size, width)
        self.activation = activation

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights."""
        for linear in (self.down, self.up):
            torch.nn.init.trunc_normal_(
                linear.weight, std=_SPREAD, a=-2 * _SPREAD, b=2 * _SPREAD, generator=generator
            )
            torch.nn.init.zeros_(linear.bias)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the adapted hidden states, of the same shape."""
        bend = torch.nn.functional.gelu if self.activation == "gelu" else torch.nn.functional.relu
        changed: torch.Tensor = hidden + self.up(bend(self.down(hidden)))
        return changed


def sub_layer_ends(model: torch.nn.Module, place: Place) -> dict[str, torch.nn.Module]:
    """Return the matrices that end one kind of sub-layer, by their name in the model.

    Raises
    ------
    TrainingError
        If it is not known which they are in this architecture.
    """
    ends = {
        f"{layers_name}.{index}.{name}": linear
        for layers_name, layers in layer_lists(model).items()
        for index, layer in enumerate(layers)
        for name, linear in linears(layer).items()
        if _SUB_LAYER.sub("", name) in _ENDS[place]
    }
    _refuse_unknown(model, place, len(ends))
    return ends


def attach_bottlenecks(model: torch.nn.Module, spec: BottleneckSpec) -> list[Bottleneck]:
    """Return the adapters after putting one behind every place of every layer.

    Raises
    ------
    TrainingError
        If it is not known which matrix ends a sub-layer of this architecture.
    """
    added = []
    for place in spec.places:
        for end in sub_layer_ends(model, place).values():
            adapter = Bottleneck(output_width(end), spec.size, spec.activation)
            weight: torch.Tensor = end.weight  # type: ignore[assignment]
            end.add_module(NAME, adapter.to(weight.device))
            end.register_forward_hook(_adapt)
            added.append(adapter)
    return added


def _adapt(end: Any, _: Any, output: torch.Tensor) -> torch.Tensor:
    # The adapter is looked up in the module: a deep copy of the model then uses its own.
    changed: torch.Tensor = end.bottleneck_adapter(output)
    return changed


def _refuse_unknown(model: torch.nn.Module, place: Place, n_ends: int) -> None:
    n_layers = sum(len(layers) for layers in layer_lists(model).values())
    if n_ends < n_layers:
        layer = next(iter(layer_lists(model).values()))[0]
        known = sorted(name for place_ in get_args(Place) for name in _ENDS[place_])
        raise TrainingError(
            f"in {type(model).__name__} it is not known which matrix ends the {place} sub-layer; "
            f"its layers hold {', '.join(linears(layer))}",
            expected=f"layers with one of {', '.join(known)}",
            fix="choose another tuning, for example lora, for this base model",
        )
