"""Continued pre-training on plain text, as a problem: masked and causal language modelling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import Dataset

from pipeline_steps.inference.forward import pad
from pipeline_steps.training.objectives.losses import (
    IGNORED,
    categorical_divergence,
    smoothed_cross_entropy,
)
from pipeline_steps.training.objectives.masking import Masking


class MaskedLanguageModel:
    """Tell the tokens whose labels are not -100: cross-entropy in nats, an item is a token."""

    def loss(self, outputs: Any, labels: torch.Tensor, n_items: int) -> torch.Tensor:
        """Return the summed cross-entropy over ``n_items``."""
        logits, targets = _asked(outputs.logits, labels)
        return smoothed_cross_entropy(logits, targets, n_items=n_items)

    def divergence(
        self, outputs: Any, target: Any, labels: torch.Tensor, n_items: int
    ) -> torch.Tensor:
        """Return the summed KL(target || outputs) at these tokens over ``n_items``."""
        return categorical_divergence(
            _asked(outputs.logits, labels)[0], _asked(target.logits, labels)[0], n_items=n_items
        )

    def n_items(self, labels: torch.Tensor) -> int:
        """Return the items of a batch."""
        return int((labels != IGNORED).sum())


class CausalLanguageModel:
    """Tell each token from those before it: the label at a position is asked one before."""

    def loss(self, outputs: Any, labels: torch.Tensor, n_items: int) -> torch.Tensor:
        """Return the summed cross-entropy over ``n_items``."""
        logits, targets = _asked(outputs.logits[:, :-1], labels[:, 1:])
        return smoothed_cross_entropy(logits, targets, n_items=n_items)

    def divergence(
        self, outputs: Any, target: Any, labels: torch.Tensor, n_items: int
    ) -> torch.Tensor:
        """Return the summed KL(target || outputs) where a token is told, over ``n_items``."""
        mine, theirs = (
            _asked(given.logits[:, :-1], labels[:, 1:])[0] for given in (outputs, target)
        )
        return categorical_divergence(mine, theirs, n_items=n_items)

    def n_items(self, labels: torch.Tensor) -> int:
        """Return the items of a batch: the first token of a row is never told."""
        return int((labels[:, 1:] != IGNORED).sum())


def _asked(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits and labels of the tokens that are asked for.

    Chosen before the softmax: over a vocabulary the fp32 copy of all positions would be the
    largest tensor of the step.
    """
    asked = labels != IGNORED
    return logits[asked], labels[asked]


@dataclass
class MaskedRows(Dataset[dict[str, list[int]]]):
    """Rows of token ids, masked anew in each epoch by (seed, epoch, row) alone.

    Parameters
    ----------
    token_ids : sequence of sequence of int
        The rows.
    masking : Masking
        What is hidden.
    seed : int
        Same seed, same masks.
    words : sequence of sequence of int or None, optional
        The word of each token, for whole words.
    """

    token_ids: Sequence[Sequence[int]]
    masking: Masking
    seed: int
    words: Sequence[Sequence[int | None]] | None = None
    epoch: int = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch is read. Worker processes of a loader would not hear it: use none."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.token_ids)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        words = None if self.words is None else self.words[index]
        seed = (self.seed, self.epoch, index)
        ids, labels = self.masking.masked(self.token_ids[index], seed, words)
        return {"input_ids": ids, "labels": labels}


@dataclass
class CausalRows(Dataset[dict[str, list[int]]]):
    """Rows of token ids, each token but the first to be told."""

    token_ids: Sequence[Sequence[int]]

    def __len__(self) -> int:
        return len(self.token_ids)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        ids = list(self.token_ids[index])
        return {"input_ids": ids, "labels": ids}


class TokenLabelCollator:
    """Rows to padded ``input_ids``, ``attention_mask`` and ``labels``, which are -100 at padding.

    Parameters
    ----------
    pad_id : int
        Fills up ``input_ids``.
    """

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, rows: Sequence[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        """Return the batch of some rows."""
        batch = pad([row["input_ids"] for row in rows], self.pad_id)
        return {**batch, "labels": pad([row["labels"] for row in rows], IGNORED)["input_ids"]}
