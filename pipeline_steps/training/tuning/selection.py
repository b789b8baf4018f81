"""Tuning that adds nothing: all weights, the head alone, the top layers, or the biases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.anatomy import embedding_parameters, layer_lists, stacks
from pipeline_steps.training.tuning.method import train_only


@dataclass(frozen=True)
class Full:
    """All weights learn.

    Parameters
    ----------
    freeze_embeddings : bool
        Keep the embeddings (of tokens, positions and types, and their norm) as they came.
    """

    freeze_embeddings: bool = False

    def apply(self, model: torch.nn.Module, head_names: Sequence[str]) -> torch.nn.Module:
        """Return the model with all weights learning."""
        names = {name for name, _ in model.named_parameters()}
        frozen = embedding_parameters(model) if self.freeze_embeddings else frozenset()
        train_only(model, (names - frozen) | set(head_names))
        return model

    def finish(self, model: torch.nn.Module) -> torch.nn.Module:
        """Return the model itself."""
        return model


@dataclass(frozen=True)
class HeadOnly:
    """The head alone learns: linear probing, where the head is linear."""

    def apply(self, model: torch.nn.Module, head_names: Sequence[str]) -> torch.nn.Module:
        """Return the model with its body frozen."""
        train_only(model, set(head_names))
        return model

    def finish(self, model: torch.nn.Module) -> torch.nn.Module:
        """Return the model itself."""
        return model


@dataclass(frozen=True)
class TopLayers:
    """The last layers of each stack learn, and what stands above them; embeddings never do.

    Above are a final norm, a pooler and those parts of a head that came with the base.

    Parameters
    ----------
    n_layers : int
        Layers that learn, in each stack.
    """

    n_layers: int

    def apply(self, model: torch.nn.Module, head_names: Sequence[str]) -> torch.nn.Module:
        """Return the model with its lower layers frozen.

        Raises
        ------
        TrainingError
            If the model has no more layers than shall learn.
        """
        names = {name for name, _ in model.named_parameters()}
        low = tuple(
            f"{layers_name}.{index}."
            for layers_name, layers in layer_lists(model).items()
            for index in range(self._first_learning(model, layers))
        )
        frozen = embedding_parameters(model) | _below(model)
        learning = {name for name in names - frozen if not name.startswith(low)}
        train_only(model, learning | set(head_names))
        return model

    def finish(self, model: torch.nn.Module) -> torch.nn.Module:
        """Return the model itself."""
        return model

    def _first_learning(self, model: torch.nn.Module, layers: torch.nn.ModuleList) -> int:
        if not 0 < self.n_layers < len(layers):
            raise TrainingError(
                f"the top {self.n_layers} layers shall learn, and {type(model).__name__} "
                f"has {len(layers)}",
                expected=f"a number from 1 to {len(layers) - 1}"
                if len(layers) > 1
                else "a base model of two layers or more",
                fix="lower finetune.tuning.n_layers, or set finetune.tuning.kind to full",
            )
        return len(layers) - self.n_layers


@dataclass(frozen=True)
class BitFit:
    """The biases and the head learn (Ben Zaken et al. 2022).

    References
    ----------
    Ben Zaken, Ravfogel & Goldberg (2022). BitFit: Simple parameter-efficient fine-tuning for
    transformer-based masked language-models. ACL.
    """

    def apply(self, model: torch.nn.Module, head_names: Sequence[str]) -> torch.nn.Module:
        """Return the model with everything but biases and head frozen.

        Raises
        ------
        TrainingError
            If the body has no biases (ModernBERT, Llama and T5 were trained without).
        """
        head = set(head_names)
        names = [name for name, _ in model.named_parameters()]
        biases = {name for name in names if name.rpartition(".")[2] == "bias"} - head
        if not biases:
            raise TrainingError(
                f"{type(model).__name__} has no biases in its body, which BitFit would train",
                expected="a base model with biases, such as BERT, RoBERTa or DeBERTa",
                fix="set finetune.tuning.kind to lora",
            )
        train_only(model, biases | head)
        return model

    def finish(self, model: torch.nn.Module) -> torch.nn.Module:
        """Return the model itself."""
        return model


def _below(model: torch.nn.Module) -> frozenset[str]:
    """Return the parameters of the parts that each stack runs before and within its layers.

    They are the children of a stack up to the one that holds the layers, without the layers: for
    DeBERTa the norm of the relative positions, which stands beside the layers and serves them all.
    """
    lists = layer_lists(model)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    layers = tuple(f"{name}." for name in lists)
    below: set[str] = set()
    for stack, list_ in zip(stacks(model), lists.values(), strict=True):
        for child in stack.children():
            below |= {names[id(parameter)] for parameter in child.parameters()}
            if any(module is list_ for module in child.modules()):
                break
    return frozenset(name for name in below if not name.startswith(layers))
