"""A base model with a new head: fp32, and nothing outside the head left to chance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerBase

from pipeline_steps.errors import CheckpointError
from pipeline_steps.inference.learners.carried_head import carry_head
from pipeline_steps.inference.tokenization import load_tokenizer


def build_with_head(
    kind: Any, base: Path, labels: Sequence[str]
) -> tuple[torch.nn.Module, tuple[str, ...]]:
    """Return a base model with a new head of a transformers class, and its parameters' names.

    Where the base had such a head for some of the labels, what it knew of them stays.
    Weights are fp32 whatever the base was stored in: bf16 autocast needs fp32 master weights.

    Raises
    ------
    CheckpointError
        If the architecture has no such head, or a weight outside the head is missing from the base
        and would be random.
    """
    names = dict(enumerate(labels))
    refuse_without_head(kind, base)
    model, loading = kind.from_pretrained(
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
    refuse_random_body(base, model, new)
    if model.config.pad_token_id is None:
        know_padding(model, load_tokenizer(base))
    return model, tuple(sorted(new | carry_head(model, base, labels)))


def refuse_without_head(kind: Any, base: Path) -> None:
    """Refuse an architecture that transformers has no class with such a head for.

    Raises
    ------
    CheckpointError
        If it has none.
    """
    config = AutoConfig.from_pretrained(base, local_files_only=True)
    if type(config) not in kind._model_mapping:  # noqa: SLF001 - from_pretrained asks it, too
        raise CheckpointError(
            f"{base} is a {config.model_type}, for which there is no {kind.__name__}",
            expected="an architecture that answers what is asked, such as BERT, RoBERTa, DeBERTa, "
            "ModernBERT, GPT-2 or Llama",
            fix="name another model in finetune.base_model",
        )


def know_padding(model: Any, tokenizer: PreTrainedTokenizerBase) -> None:
    """Let a model's configuration name the token that fills, where it names none.

    A decoder (GPT-2, Llama) classifies by the last token of a text and must tell it from padding.
    """
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id


def build_whole(kind: Any, base: Path) -> torch.nn.Module:
    """Return a base model without a new head, of a transformers class, in fp32.

    Raises
    ------
    CheckpointError
        If a weight is missing from the base and would be random.
    """
    model, missing = _loaded(kind, base)
    _refuse_random(base, model, missing)
    return model


def build_body(base: Path) -> torch.nn.Module:
    """Return the body of a base model alone, in fp32; a pooler that it lacks is not read.

    Raises
    ------
    CheckpointError
        If another weight is missing from the base and would be random.
    """
    model, missing = _loaded(AutoModel, base)
    _refuse_random(base, model, [key for key in missing if not key.startswith("pooler.")])
    return model


def _loaded(kind: Any, base: Path) -> tuple[torch.nn.Module, list[str]]:
    """Return a base as a transformers class reads it, in fp32, and the weights that it lacks."""
    model, loading = kind.from_pretrained(
        base,
        dtype=torch.float32,
        use_safetensors=True,
        local_files_only=True,
        output_loading_info=True,
    )
    return model, sorted(loading["missing_keys"])


def refuse_random_body(base: Path, model: Any, new: set[str]) -> None:
    """Refuse a base that lacks weights outside the head, to which a pooler counts.

    Encoders that were taught to fill in masks have none; it is then drawn and learnt like the head.

    Raises
    ------
    CheckpointError
        With some of them.
    """
    prefix = f"{model.base_model_prefix}."
    body = sorted(k for k in new if k.startswith(prefix) and not k.startswith(f"{prefix}pooler."))
    _refuse_random(base, model, body)


def _refuse_random(base: Path, model: Any, missing: list[str]) -> None:
    if missing:
        raise CheckpointError(
            f"{base} lacks {len(missing)} weights of {type(model).__name__}, for example "
            f"{', '.join(missing[:3])}; they would be random",
            expected="a base model of this architecture with all weights outside the head",
            fix="name a base model that fits in finetune.base_model",
        )
