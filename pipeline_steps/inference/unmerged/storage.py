"""Checkpoints of models that carry more than their weights: plain weights and an adapter.

::

    checkpoint/
        plain/      config.json, model.safetensors: what transformers loads, head included
        adapter/    adapter.json (what it is), adapter.safetensors (its tensors)

The plain model stands in a directory of its own so that a program that knows no adapters finds no
model at the top, instead of one that answers otherwise than what was validated.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from pipeline_steps.errors import CheckpointError, TrainingError
from pipeline_steps.inference.unmerged import bottleneck, prompts
from pipeline_steps.inference.unmerged.bottleneck import BottleneckSpec, attach_bottlenecks
from pipeline_steps.inference.unmerged.mean_pooling import MeanPoolingSpec, attach_mean_pooling
from pipeline_steps.inference.unmerged.prompts import (
    PrefixSpec,
    PromptSpec,
    attach_prefix,
    attach_prompt,
)

Spec = BottleneckSpec | PromptSpec | PrefixSpec | MeanPoolingSpec
PLAIN, ADAPTER = "plain", "adapter"
_DESCRIPTION, _TENSORS = "adapter.json", "adapter.safetensors"
_SPEC: TypeAdapter[Spec] = TypeAdapter(Annotated[Spec, Field(discriminator="kind")])
_MARKS = (f".{bottleneck.NAME}.", f".{prompts.NAME}.")


def attach(model: torch.nn.Module, spec: Spec) -> list[Any]:
    """Return the modules that were added to the model; their weights are still to be set.

    Raises
    ------
    TrainingError
        If the architecture cannot carry them, or the model carries some already: both would act.
    """
    if added_tensors(model.state_dict()):
        raise TrainingError(
            f"{type(model).__name__} carries an adapter already",
            expected="a model as it was built or loaded",
            fix="build the model anew before tuning it another way",
        )
    if isinstance(spec, BottleneckSpec):
        return [*attach_bottlenecks(model, spec)]
    if isinstance(spec, MeanPoolingSpec):
        return attach_mean_pooling(model, spec)
    return [*attach_prompt(model, spec)] if spec.kind == "prompt" else [*attach_prefix(model, spec)]


def added_tensors(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return those tensors of a state that belong to added modules."""
    return {name: tensor for name, tensor in state.items() if _is_added(name)}


class Unmerged(torch.nn.Module):
    """A model with its adapter, saved as such; called like the model.

    Parameters
    ----------
    model : Module
        A transformers model to which ``spec`` is attached.
    spec : Spec
        What it carries.
    """

    def __init__(self, model: Any, spec: Spec) -> None:
        super().__init__()
        self.model = model
        self.spec = spec

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the model returns."""
        return self.model(*args, **kwargs)

    def save_pretrained(self, directory: Path) -> None:
        """Write the plain model and the adapter below a directory."""
        state = self.model.state_dict()
        added = added_tensors(state)
        plain = {name: tensor for name, tensor in state.items() if name not in added}
        self.model.save_pretrained(directory / PLAIN, state_dict=plain)
        target = directory / ADAPTER
        target.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in added.items()}
        save_file(tensors, target / _TENSORS)
        (target / _DESCRIPTION).write_bytes(_SPEC.dump_json(self.spec, indent=2))


def load_model(checkpoint: Path, auto_class: Any) -> torch.nn.Module:
    """Return the model of a checkpoint in fp32, with its adapter where it has one.

    Parameters
    ----------
    checkpoint : Path
        The directory.
    auto_class : type
        Class of transformers that builds the model with its head.
    """
    adapted = (checkpoint / ADAPTER).is_dir()
    model: torch.nn.Module = auto_class.from_pretrained(
        checkpoint / PLAIN if adapted else checkpoint,
        dtype=torch.float32,
        use_safetensors=True,
        local_files_only=True,
    )
    return load_tuned(model, checkpoint / ADAPTER) if adapted else model


def load_tuned(base: torch.nn.Module, adapter: Path) -> torch.nn.Module:
    """Return ``base`` carrying the adapter of a directory.

    Parameters
    ----------
    base : Module
        The plain model of the same checkpoint.
    adapter : Path
        The directory with the description and the tensors.

    Raises
    ------
    CheckpointError
        If the files are missing, or do not fit each other or the model.
    """
    spec = _read_spec(adapter)
    attach(base, spec)
    try:
        tensors = load_file(adapter / _TENSORS)
    except (OSError, SafetensorError) as error:
        raise _unreadable(adapter, str(error)) from error
    wanted = {name: tensor.shape for name, tensor in added_tensors(base.state_dict()).items()}
    if {name: tensor.shape for name, tensor in tensors.items()} != wanted:
        raise _unreadable(adapter, "its tensors are not those that the model carries")
    base.load_state_dict(tensors, strict=False)
    return base


def _read_spec(adapter: Path) -> Spec:
    try:
        return _SPEC.validate_json((adapter / _DESCRIPTION).read_bytes())
    except (OSError, ValidationError) as error:
        raise _unreadable(adapter, str(error)) from error


def _unreadable(adapter: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{adapter} holds no adapter for this model: {reason}",
        expected=f"{_DESCRIPTION} and {_TENSORS}, as they were written with the model beside them",
        fix="remove the checkpoint and run holdfast train again",
    )


def _is_added(name: str) -> bool:
    return any(mark in f".{name}" for mark in _MARKS)
