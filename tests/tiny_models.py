"""Tiny random models with tokenizers, made in the test: no hub, no weights of anyone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModel,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ModernBertConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
)

WORDS = [
    "message",
    "about",
    "my",
    "card",
    "transfer",
    "refund",
    "pin",
    "fee",
    "login",
    "address",
    "loan",
    "number",
    "the",
    "is",
    "not",
    "good",
    "bad",
    "film",
    "very",
    "and",
    "a",
    "was",
    "it",
    "I",
    "this",
    "that",
]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

_SMALL = {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
          "intermediate_size": 32, "max_position_embeddings": 64, "pad_token_id": 0}  # fmt: skip


def configurations() -> dict[str, PretrainedConfig]:
    """Return a tiny configuration of each architecture."""
    return {
        "bert": BertConfig(**_SMALL),
        "distilbert": DistilBertConfig(
            vocab_size=64, dim=16, n_layers=2, n_heads=2, hidden_dim=32,
            max_position_embeddings=64, pad_token_id=0,
        ),
        "roberta": RobertaConfig(**{**_SMALL, "max_position_embeddings": 70}),
        "deberta-v2": DebertaV2Config(**_SMALL),
        "modernbert": ModernBertConfig(
            **_SMALL, bos_token_id=2, eos_token_id=3, cls_token_id=2, sep_token_id=3,
            global_attn_every_n_layers=1, attn_implementation="eager",
        ),
    }  # fmt: skip


TARGETS = {
    "bert": ("query", "value"),
    "distilbert": ("q_lin", "v_lin"),
    "roberta": ("query", "value"),
    "deberta-v2": ("query_proj", "value_proj"),
    "modernbert": ("Wqkv",),
}
"""What LoRA adapts in each architecture."""


def save_tiny_model(path: Path, architecture: str = "bert", seed: int = 0) -> Path:
    """Return a directory with a random base model and a word-level tokenizer."""
    torch.manual_seed(seed)
    AutoModel.from_config(configurations()[architecture]).save_pretrained(path)
    save_tokenizer(path)
    return path


def save_tokenizer(path: Path) -> None:
    vocabulary = {word: index for index, word in enumerate([*SPECIAL, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )  # fmt: skip
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]", model_max_length=64,
    ).save_pretrained(path)  # fmt: skip


def with_other_words(base: Path, path: Path) -> Path:
    """Return a copy of a base whose tokenizer has two of its words the other way round."""
    shutil.copytree(base, path)
    file = path / "tokenizer.json"
    content = json.loads(file.read_text())
    words = content["model"]["vocab"]
    words["good"], words["bad"] = words["bad"], words["good"]
    file.write_text(json.dumps(content))
    return path
