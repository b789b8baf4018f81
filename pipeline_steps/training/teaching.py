"""Checkpoints that a training asks: loaded, checked against what is trained, written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from pipeline_steps.errors import TrainingError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.batching import length_sorted_batches
from pipeline_steps.inference.checkpoint import load_checkpoint
from pipeline_steps.inference.first_token import first_token_only
from pipeline_steps.inference.forward import pad
from pipeline_steps.inference.learners.learner import Learner
from pipeline_steps.inference.tokenization import load_tokenizer
from pipeline_steps.problem_defaults import WRITING
from pipeline_steps.training.further import checkpoints_named
from pipeline_steps.training.tuning.method import seeded
from pipeline_steps.types import Checkpoint

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class OldModel:
    """A checkpoint that was loaded to be asked: frozen, without dropout."""

    checkpoint: Checkpoint
    model: torch.nn.Module
    tokenizer: PreTrainedTokenizerBase

    @property
    def config(self) -> Any:
        """The configuration of the model."""
        return self.model.config

    @property
    def writes(self) -> bool:
        """Whether it answers with tokens of its vocabulary."""
        return self.checkpoint.problem in WRITING


def load_old_models(
    params: FinetuneParams, problem: str, learner: Learner, device: torch.device
) -> dict[str, OldModel]:
    """Return the checkpoints that ``finetune.objective`` names, by path; each once.

    Raises
    ------
    TrainingError
        If one of them answers another problem.
    """
    found: dict[str, OldModel] = {}
    for key, path in checkpoints_named(params):
        if path not in found:
            checkpoint = load_checkpoint(Path(path), verify=False)  # the digest was taken already
            _refuse_other_problem(key, checkpoint, problem)
            with seeded(0):  # building a model draws weights that are then overwritten
                model = learner.load(Path(path)).to(device).eval().requires_grad_(False)  # noqa: FBT003
            found[path] = OldModel(checkpoint, model, load_tokenizer(Path(path)))
    return found


def labels_of_old_model(params: FinetuneParams, models: Mapping[str, OldModel]) -> tuple[str, ...]:
    """Return what the old models of ``lwf`` and ``ewc`` can answer, which shall not be lost."""
    asked = (params.objective.lwf, params.objective.ewc)
    old = [models[section.checkpoint].checkpoint for section in asked if section is not None]
    return tuple(dict.fromkeys(label for checkpoint in old for label in checkpoint.labels))


def record(
    models: Sequence[torch.nn.Module],
    token_ids: Sequence[Sequence[int]],
    pad_id: int,
    batch_tokens: int,
) -> list[Array]:
    """Return what models say of each row, (models, classes) or (models, length, classes).

    Once for a whole training: exact while rows do not change, and in fp32 whatever is trained in.
    """
    said = [_logits(model, token_ids, pad_id, batch_tokens) for model in models]
    return [np.stack(of_row) for of_row in zip(*said, strict=True)]


def _logits(
    model: torch.nn.Module, token_ids: Sequence[Sequence[int]], pad_id: int, batch_tokens: int
) -> list[Array]:
    device = next(model.parameters()).device
    found: list[Any] = [None] * len(token_ids)
    with torch.inference_mode(), first_token_only():
        for batch in length_sorted_batches([len(ids) for ids in token_ids], batch_tokens):
            inputs = pad([token_ids[row] for row in batch], pad_id)
            inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
            logits = model(**inputs).logits.float().cpu().numpy()
            for row, values in zip(batch, logits, strict=True):
                found[row] = values if values.ndim == 1 else values[: len(token_ids[row])].copy()
    return found


def _refuse_other_problem(key: str, checkpoint: Checkpoint, problem: str) -> None:
    if checkpoint.problem != problem:
        raise TrainingError(
            f"finetune.{key}: {checkpoint.path} was trained for {checkpoint.problem}",
            expected=f"a checkpoint for {problem}",
            fix="name another checkpoint in params.yaml",
        )
