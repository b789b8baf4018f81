"""Checkpoints of prompted classifiers: ``prompt.json`` and the language model in ``model/``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from pipeline_steps.errors import CheckpointError
from pipeline_steps.inference.prompted.classifier import Prompt, PromptedClassifier

MODEL, PROMPT = "model", "prompt.json"


def is_prompted(checkpoint: Path) -> bool:
    """Return whether a checkpoint is a language model with a prompt."""
    return (checkpoint / PROMPT).exists()


def save_prompted(classifier: PromptedClassifier, directory: Path) -> None:
    """Write a classifier into a directory."""
    model: Any = classifier.model
    model.save_pretrained(directory / MODEL)
    (directory / PROMPT).write_text(classifier.prompt.model_dump_json(indent=1), encoding="utf-8")


def load_prompted(checkpoint: Path) -> PromptedClassifier:
    """Return the classifier in a checkpoint.

    Raises
    ------
    CheckpointError
        If its prompt cannot be read.
    """
    try:
        prompt = Prompt.model_validate_json((checkpoint / PROMPT).read_bytes())
    except (OSError, ValidationError) as error:
        raise CheckpointError(
            f"{checkpoint / PROMPT} cannot be read: {error}",
            expected="the prompt that was written with the checkpoint",
            fix="remove the checkpoint and run holdfast train again",
        ) from error
    return PromptedClassifier(load_language_model(checkpoint / MODEL, prompt.model), prompt)


def load_language_model(path: Path, kind: str) -> torch.nn.Module:
    """Return a causal or masked language model in fp32.

    Raises
    ------
    CheckpointError
        If weights are missing: an output layer that was drawn at random says nothing.
    """
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    auto_class: Any = AutoModelForCausalLM if kind == "causal" else AutoModelForMaskedLM
    model, loading = auto_class.from_pretrained(
        path,
        dtype=torch.float32,
        use_safetensors=True,
        local_files_only=True,
        output_loading_info=True,
    )
    missing = sorted(loading["missing_keys"])
    if missing:
        raise CheckpointError(
            f"{path} lacks {len(missing)} weights of {type(model).__name__}, for example "
            f"{', '.join(missing[:3])}; they would be random",
            expected=f"a {kind} language model with its output layer",
            fix="name one in finetune.base_model, or set finetune.tuning.kind to full",
        )
    found: torch.nn.Module = model.eval()
    return found
