"""A base model made ready to be trained, and what is saved of it afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from pipeline_steps.errors import TrainingError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.first_token import untrim_last_layer
from pipeline_steps.inference.learners.learner import Learner
from pipeline_steps.inference.positions import most_positions
from pipeline_steps.training.assembly import refuse_frozen_chance, tuning_of
from pipeline_steps.training.data import EncodedDataset
from pipeline_steps.training.dropout import use_lane_dropout, use_torch_attention
from pipeline_steps.training.embeddings import join_embeddings, split_embeddings
from pipeline_steps.training.hidden_states import drop_projection
from pipeline_steps.training.objectives.student import student_from_layers
from pipeline_steps.training.tuning.reinitialisation import reinitialise_top


def prepared_model(
    base: Path,
    labels: tuple[str, ...],
    train: EncodedDataset,
    params: FinetuneParams,
    *,
    problem: Learner,
    pad_id: int,
    device: torch.device,
) -> tuple[torch.nn.Module, tuple[str, ...]]:
    """Return a base model ready to be trained on some rows, and its head's parameter names.

    Raises
    ------
    TrainingError
        If the tuning does not fit the model.
    """
    refuse_frozen_chance(params)
    model, head_names = problem.build(base, labels)
    if params.student_layers is not None:
        model = student_from_layers(model, params.student_layers)
    _choose_attention(model, params, device)
    if params.reinitialise_layers:
        reinitialise_top(model, params.reinitialise_layers, seed=params.seed)
    model = tuning_of(params).apply(model, head_names)
    if _learns_words_alone(model, params):
        split_embeddings(model, train.encoded.ids_read, pad_id)
    if device.type == "cpu":
        use_lane_dropout(model)
    return model, head_names


def refuse_too_long(model: torch.nn.Module, lengths: Iterable[int]) -> None:
    """Refuse rows that a model has not enough positions for: torch would fail in the middle.

    Raises
    ------
    TrainingError
        With the longest of them.
    """
    limit = most_positions(model)
    longest = max(lengths, default=0)
    if limit is not None and limit < 1:
        raise TrainingError(
            f"the learnt tokens leave no position of {type(model).__name__} for text",
            expected=f"at least {1 - limit} learnt tokens less",
            fix="lower finetune.tuning.n_tokens, or name another finetune.base_model",
        )
    if limit is not None and longest > limit:
        raise TrainingError(
            f"the longest row has {longest} tokens, and {type(model).__name__} {limit} positions"
            " for text",
            expected="rows that the base model can read",
            fix=f"set finetune.max_length to {limit} or less (where texts are written "
            "finetune.generation.max_new_tokens, too), lower finetune.tuning.n_tokens of learnt "
            "prompts, or name another finetune.base_model",
        )


def _choose_attention(model: Any, params: FinetuneParams, device: torch.device) -> None:
    wanted = params.hardware.attention
    if wanted == "auto":
        return
    if wanted == "flash_attention_2" and device.type != "cuda":
        raise TrainingError(
            f"finetune.hardware.attention is flash_attention_2, and the device {device.type}",
            expected="a CUDA GPU for flash attention",
            fix="set finetune.hardware.attention to auto",
        )
    try:
        model.set_attn_implementation(wanted)
    except (ImportError, ValueError) as error:
        raise TrainingError(
            f"{type(model).__name__} cannot attend by {wanted}: {error}",
            expected="an implementation that this model and this machine have",
            fix="set finetune.hardware.attention to auto",
        ) from error
    found = model.config._attn_implementation  # noqa: SLF001 - transformers has no public name
    if found != wanted:  # it only warns
        raise TrainingError(
            f"{type(model).__name__} attends by {found} and cannot be set to {wanted}",
            expected="an implementation that this model has",
            fix="set finetune.hardware.attention to auto",
        )


def n_learning(model: torch.nn.Module) -> int:
    """Return how many numbers learn."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def whole_model(model: torch.nn.Module) -> torch.nn.Module:
    """Return the model without what training changed for speed."""
    drop_projection(model)
    untrim_last_layer(model)
    join_embeddings(model)
    use_torch_attention(model)
    return model


def _learns_words_alone(model: Any, params: FinetuneParams) -> bool:
    """Return whether the word vectors may be split into those that rows use and the others.

    They must learn, which they do in full tuning alone, and be nobody else's: an output matrix or
    an encoder's own table that shares the weights would go on with the unsplit ones.
    """
    if params.tuning.kind != "full" or params.tuning.freeze_embeddings:
        return False
    if {"ewc", "l2sp"} & set(params.objective.chosen()):  # they know the weights by name
        return False
    if params.augmentation is not None:  # a typo may bring any word piece
        return False
    if params.hardware.sharded:  # the weights have other owners
        return False
    weight = getattr(model.get_input_embeddings(), "weight", None)
    sharing = [m for m in model.modules() if getattr(m, "weight", None) is weight]
    return len(sharing) == 1
