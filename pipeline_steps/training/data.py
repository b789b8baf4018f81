"""Examples as a training set: token ids, label indices, collation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import torch
from torch.utils.data import Dataset

from pipeline_steps.inference.forward import pad
from pipeline_steps.inference.tokenization import Encoded


class Row(TypedDict):
    """One encoded example."""

    input_ids: list[int]
    label: int


class EncodedDataset(Dataset[Row]):
    """Encoded examples with their label indices."""

    def __init__(self, encoded: Encoded, labels: Sequence[int]) -> None:
        self.encoded = encoded
        self.labels = list(labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Row:
        return {"input_ids": self.encoded.token_ids[index], "label": self.labels[index]}


class Collator:
    """Rows to padded tensors: ``input_ids``, ``attention_mask`` (n, longest), ``labels`` (n,)."""

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Return the batch of some rows."""
        batch = pad([row["input_ids"] for row in rows], self.pad_id)
        return {**batch, "labels": torch.tensor([row["label"] for row in rows])}
