"""A student that follows its teacher's hidden states, with a projection where widths differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from pipeline_steps.errors import TrainingError
from pipeline_steps.objective_params import HiddenParams
from pipeline_steps.training.objectives.distillation import (
    HiddenDistillation,
    make_projection,
    uniform_layers,
)
from pipeline_steps.training.objectives.teachers import LiveTeacher

PROJECTION = "hidden_projection"
"""Name of the module in the model while it is trained: it is saved with the trainer's checkpoints,
given to the optimizer and taken out of what is kept."""


def follow_hidden_states(
    params: HiddenParams, teacher: Any, model: Any, *, seed: int, precision: str, written: bool
) -> HiddenDistillation:
    """Return the objective; a model of another width than its teacher's is given a projection.

    Where a text is ``written`` the layers are those that write, else of an encoder with a decoder
    those of the encoder.

    Raises
    ------
    TrainingError
        If there are no such layers, or the model cannot carry the projection it needs.
    """
    mine, theirs = (_depth(m.config, written=written) for m in (model, teacher))
    layers = params.layers or uniform_layers(mine, theirs)
    widths = (int(model.config.hidden_size), int(teacher.config.hidden_size))
    mistakes = [*_absent_layers(layers, mine, theirs), *_no_place(model, widths)]
    if mistakes:
        raise TrainingError(
            "; ".join(mistakes),
            expected=f"pairs of layers from 0 to {mine} and from 0 to {theirs}, and a model whose "
            "own weights learn",
            fix="correct finetune.objective.hidden, or set finetune.tuning.kind to full",
        )
    return HiddenDistillation(
        LiveTeacher(teacher, keeps_hidden_states=True, precision=precision),
        layers,
        params.distance,
        params.positions,
        params.weight,
        written=written,
        projection=None if widths[0] == widths[1] else _added(model, *widths, seed),
    )


def projection_names(model: torch.nn.Module) -> set[str]:
    """Return the names of the projection's parameters, where the model carries one."""
    return {name for name, _ in model.named_parameters() if name.startswith(f"{PROJECTION}.")}


def drop_projection(model: torch.nn.Module) -> None:
    """Take the projection out of a model that carries one."""
    if hasattr(model, PROJECTION):
        delattr(model, PROJECTION)


def _depth(config: Any, *, written: bool) -> int:
    """Return the number of layers; of an encoder-decoder that writes those of the decoder."""
    names = ["num_hidden_layers"]
    if written and config.is_encoder_decoder:
        names = ["num_decoder_layers", "decoder_layers"]  # T5, the others
    found = [getattr(config, name) for name in names if getattr(config, name, None) is not None]
    if not found:
        raise TrainingError(
            f"the configuration of this {config.model_type} does not say how many layers write",
            expected="num_decoder_layers or decoder_layers in config.json",
            fix="take hidden out of finetune.objective",
        )
    return int(found[0])


def _added(model: Any, student_width: int, teacher_width: int, seed: int) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(seed)
    projection = make_projection(student_width, teacher_width, generator)
    model.add_module(PROJECTION, projection.to(next(model.parameters()).device))
    return projection


def _absent_layers(layers: tuple[tuple[int, int], ...], mine: int, theirs: int) -> Iterator[str]:
    absent = [[a, b] for a, b in layers if not (0 <= a <= mine and 0 <= b <= theirs)]
    if absent:
        yield f"finetune.objective.hidden.layers names {absent}"


def _no_place(model: Any, widths: tuple[int, int]) -> Iterator[str]:
    if widths[0] != widths[1] and hasattr(model, "peft_config"):
        yield (
            f"the states of the model are {widths[0]} wide and the teacher's {widths[1]}: beside "
            "lora and ia3 there is no place for the projection that this needs"
        )
