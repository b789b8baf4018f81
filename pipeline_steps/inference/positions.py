"""How long a text may be for a model: where positions are counted, and how far."""

from __future__ import annotations

from typing import Any

import torch

_TABLES = ("position_embeddings", "wpe", "embed_positions")
_MOST_TOKENS = 100_000  # what tokenizers say that know no limit is far beyond


def most_positions(model: torch.nn.Module) -> int | None:
    """Return how many tokens a model has vectors of positions for; ``None``: it needs none.

    Beyond them it cannot read. Where positions are relative or rotary there is no such end. What a
    learnt prompt or prefix takes up is not there for texts.
    """
    modules = dict(model.named_modules())
    tables = (module for name, module in modules.items() if name.endswith(_TABLES))
    sizes = [_of_table(table) for table in tables if isinstance(table, torch.nn.Embedding)]
    learnt = sum(getattr(module, "n_learnt_tokens", 0) for module in modules.values())
    return min(sizes) - learnt if sizes else None


def longest_input(model: torch.nn.Module, tokenizer: Any) -> int | None:
    """Return how many tokens a model was made to read, special ones included, if anyone says so."""
    config = next(module.config for module in model.modules() if hasattr(module, "config"))
    said = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    limits = [tokenizer.model_max_length, most_positions(model) or said]
    return min((int(n) for n in limits if n and n <= _MOST_TOKENS), default=None)


def _of_table(table: torch.nn.Embedding) -> int:
    # RoBERTa's kind counts from behind the padding token's number, BART's from an offset.
    padding = 0 if table.padding_idx is None else table.padding_idx + 1
    return table.num_embeddings - padding - int(getattr(table, "offset", 0))
