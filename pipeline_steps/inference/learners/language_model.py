"""Models that write: an encoder with a decoder, or a decoder alone, as the base's config says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    PretrainedConfig,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from pipeline_steps.errors import CheckpointError
from pipeline_steps.inference.learners.body import build_whole
from pipeline_steps.inference.unmerged.storage import PLAIN, load_model


def build_writer(base: Path) -> torch.nn.Module:
    """Return the base model as it is: it has its output matrix, nothing is new.

    Raises
    ------
    CheckpointError
        If the model cannot write, or lacks weights.
    """
    return build_whole(_auto_class(read_config(base)), base)


def load_writer(path: Path) -> torch.nn.Module:
    """Return the model in a checkpoint."""
    return load_model(path, _auto_class(read_config(path)))


def config_of(path: Path) -> PretrainedConfig:
    """Return the configuration of a base model or a checkpoint, with an adapter or without."""
    where = path / PLAIN if (path / PLAIN).is_dir() else path
    config: PretrainedConfig = AutoConfig.from_pretrained(where, local_files_only=True)
    return config


def is_decoder_alone(config: PretrainedConfig) -> bool:
    """Return whether a position of the model sees only what stands before it."""
    kind = config.model_type
    # BERT and its kin have classes for causal language models, too, but were not trained as such.
    is_encoder = kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    is_writer = kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    return is_writer and not is_encoder and not config.is_encoder_decoder


def read_config(path: Path) -> PretrainedConfig:
    """Return the configuration of a base model or a checkpoint that can write.

    Raises
    ------
    CheckpointError
        If it is an encoder alone, which answers but does not write.
    """
    config = config_of(path)
    if not config.is_encoder_decoder and not is_decoder_alone(config):
        raise CheckpointError(
            f"{path} is an encoder ({config.model_type}), which cannot write",
            expected="a model with a decoder, such as T5, BART, Marian, GPT-2 or Llama",
            fix="name one in finetune.base_model: a directory or a hub id",
        )
    return config


def start_token(config: Any) -> int | None:
    """Return what the decoder of an encoder-decoder begins with; ``None`` for a decoder alone.

    Raises
    ------
    CheckpointError
        If the configuration does not say.
    """
    if not config.is_encoder_decoder:
        return None
    found = getattr(config, "decoder_start_token_id", None)
    start = found if found is not None else getattr(config, "bos_token_id", None)
    if start is None:
        raise CheckpointError(
            f"the configuration of this {config.model_type} names no decoder_start_token_id",
            expected="the token that the decoder begins with",
            fix="add decoder_start_token_id to the base model's config.json",
        )
    return int(start)


def _auto_class(config: Any) -> Any:
    return AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
