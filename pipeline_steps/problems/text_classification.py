"""Text classification: one or two texts, one label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from pipeline_steps.errors import CheckpointError, TrainingError


def build_model(base: Path, labels: Sequence[str]) -> tuple[torch.nn.Module, tuple[str, ...]]:
    """Return a base model with a new head, and the names of the head's parameters.

    Weights are fp32 whatever the base was stored in: bf16 autocast needs fp32 master weights.

    Raises
    ------
    CheckpointError
        If a weight outside the head is missing from the base and would be random.
    """
    from transformers import AutoModelForSequenceClassification

    names = dict(enumerate(labels))
    model, loading = AutoModelForSequenceClassification.from_pretrained(
        base,
        num_labels=len(labels),
        id2label=names,
        label2id={label: index for index, label in names.items()},
        dtype=torch.float32,
        use_safetensors=True,
        local_files_only=True,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )
    mismatched = {key[0] if isinstance(key, tuple) else key for key in loading["mismatched_keys"]}
    new = set(loading["missing_keys"]) | mismatched
    _refuse_random_body(base, model, new)
    return model, tuple(sorted(new))


def classification_loss(
    logits: torch.Tensor, labels: torch.Tensor, *, n_items: int, label_smoothing: float
) -> torch.Tensor:
    """Return the summed cross-entropy over ``n_items``: the rows of all accumulated batches.

    Dividing each batch by the rows of the whole step, not by its own, makes the gradient of an
    accumulated step equal to that of one large batch.
    """
    total = torch.nn.functional.cross_entropy(
        logits.float(), labels, reduction="sum", label_smoothing=label_smoothing
    )
    return total / n_items


def label_indices(labels: Sequence[str], names: Sequence[str]) -> list[int]:
    """Return the index of each label in ``names``.

    Raises
    ------
    TrainingError
        If a label is not among ``names``, which are those of the training rows.
    """
    index = {name: position for position, name in enumerate(names)}
    unknown = sorted(set(labels) - index.keys())
    if unknown:
        raise TrainingError(
            f"labels that no training row has: {', '.join(unknown[:10])}",
            expected=f"the {len(names)} labels of the training rows",
            fix="add training rows with these labels or remove the rows, then: holdfast prepare",
        )
    return [index[label] for label in labels]


def _refuse_random_body(base: Path, model: Any, new: set[str]) -> None:
    prefix = f"{model.base_model_prefix}."
    # A pooler is part of the body's module tree in some architectures, yet many bases lack it.
    body = sorted(key for key in new if key.startswith(prefix))
    if body:
        raise CheckpointError(
            f"{base} lacks {len(body)} weights of {type(model).__name__}, for example "
            f"{', '.join(body[:3])}; they would be random",
            expected="a base model of this architecture with all weights outside the head",
            fix="name a base model that fits in finetune.base_model",
        )
