"""Models with a new head in every architecture, every tuning method, and a few steps of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tiny_models import save_tiny_model
from transformers import GPT2Config, LlamaConfig, PretrainedConfig, T5Config

from pipeline_steps.inference.forward import pad
from pipeline_steps.inference.learners.text_classification import TextClassificationLearner
from pipeline_steps.training.tuning.adapters import houlsby, pfeiffer
from pipeline_steps.training.tuning.adaptive_rank import AdaptiveRank
from pipeline_steps.training.tuning.low_rank import LowRank, Rescaling
from pipeline_steps.training.tuning.method import Tuning
from pipeline_steps.training.tuning.prompts import PrefixTuning, PromptTuning
from pipeline_steps.training.tuning.selection import BitFit, Full, HeadOnly, TopLayers

LABELS = ("minus", "plus", "zero")
ROWS = [[2, 7, 9, 3], [2, 11, 3], [2, 8, 8, 12, 13, 3], [2, 20, 21, 22, 3]]
TARGETS = [0, 1, 2, 1]

METHODS: dict[str, Tuning] = {
    "full": Full(),
    "full without embeddings": Full(freeze_embeddings=True),
    "head": HeadOnly(),
    "top layer": TopLayers(1),
    "bitfit": BitFit(),
    "lora": LowRank(rank=4, alpha=8),
    "lora everywhere": LowRank(rank=4, alpha=8, target_modules="all-linear"),
    "rslora": LowRank(rank=4, alpha=8, scaling="sqrt_rank"),
    "dora": LowRank(rank=4, alpha=8, decomposed=True),
    "adalora": AdaptiveRank(initial_rank=4, target_rank=2, alpha=8),
    "ia3": Rescaling(),
    "houlsby": houlsby(8),
    "pfeiffer": pfeiffer(4),
    "prompt": PromptTuning(5),
    "prefix": PrefixTuning(5),
}

ENCODERS = ("bert", "distilbert", "roberta", "deberta-v2", "modernbert")
OTHERS: dict[str, PretrainedConfig] = {
    "gpt2": GPT2Config(
        vocab_size=64, n_embd=16, n_layer=2, n_head=2, n_positions=64, pad_token_id=0,
        bos_token_id=2, eos_token_id=3,
    ),
    "llama": LlamaConfig(
        vocab_size=64, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, intermediate_size=32, max_position_embeddings=64, pad_token_id=0,
        bos_token_id=2, eos_token_id=3,
    ),
    "t5": T5Config(
        vocab_size=64, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, pad_token_id=0,
        eos_token_id=3, decoder_start_token_id=0,
    ),
}  # fmt: skip
ARCHITECTURES = (*ENCODERS, *OTHERS)

REFUSED: dict[tuple[str, str], str] = {
    ("bitfit", "modernbert"): "has no biases in its body",
    ("bitfit", "llama"): "has no biases in its body",
    ("bitfit", "t5"): "has no biases in its body",
    ("adalora", "gpt2"): "keeps its weights transposed",
    ("prompt", "t5"): "cannot be prompted",
    ("prefix", "t5"): "accept no past keys and values",
    ("prefix", "distilbert"): "accept no past keys and values",
    ("prefix", "deberta-v2"): "accept no past keys and values",
    ("prefix", "modernbert"): "accept no past keys and values",
}
"""Method and architecture that do not go together, and what the refusal says."""


def save_base(path: Path, architecture: str) -> Path:
    """Return a directory with a random base model."""
    if architecture in OTHERS:
        from transformers import AutoModel

        torch.manual_seed(0)
        AutoModel.from_config(OTHERS[architecture]).save_pretrained(path)
        return path
    return save_tiny_model(path, architecture)


def with_head(base: Path) -> tuple[Any, tuple[str, ...]]:
    """Return the base with a new head drawn from a fixed seed, and the head's names."""
    torch.manual_seed(1)
    return TextClassificationLearner().build(base, LABELS)


def learning(model: torch.nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def n_learning(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def train(model: torch.nn.Module, n_steps: int = 3, rate: float = 0.05) -> None:
    """Make a few optimizer steps and leave the last gradients in place."""
    torch.manual_seed(2)
    model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=rate)
    inputs, labels = pad(ROWS, 0), torch.tensor(TARGETS)
    for _ in range(n_steps):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(**inputs).logits, labels).backward()
        optimizer.step()
    model.eval()


@torch.no_grad()
def logits(model: torch.nn.Module, rows: list[list[int]] = ROWS) -> torch.Tensor:
    return model.eval()(**pad(rows, 0)).logits
