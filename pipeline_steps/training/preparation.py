"""A base model made ready to be trained, and what is saved of it afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.learners.learner import Learner
from pipeline_steps.training.assembly import refuse_frozen_chance, tuning_of
from pipeline_steps.training.data import EncodedDataset
from pipeline_steps.training.dropout import use_lane_dropout, use_torch_attention
from pipeline_steps.training.embeddings import join_embeddings, split_embeddings
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
    if params.reinitialise_layers:
        reinitialise_top(model, params.reinitialise_layers, seed=params.seed)
    model = tuning_of(params).apply(model, head_names)
    if _learns_words_alone(model, params):
        split_embeddings(model, train.encoded.ids_read, pad_id)
    if device.type == "cpu":
        use_lane_dropout(model)
    return model, head_names


def n_learning(model: torch.nn.Module) -> int:
    """Return how many numbers learn."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def whole_model(model: torch.nn.Module) -> torch.nn.Module:
    """Return the model without what training changed for speed."""
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
    weight = getattr(model.get_input_embeddings(), "weight", None)
    sharing = [m for m in model.modules() if getattr(m, "weight", None) is weight]
    return len(sharing) == 1
