"""Examples as a training set: token ids, targets, collation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

import torch
from torch.utils.data import Dataset

from pipeline_steps.inference.forward import pad
from pipeline_steps.inference.tokenization import Encoded


def _no_more(labels: torch.Tensor, pad_id: int) -> dict[str, torch.Tensor]:  # noqa: ARG001
    return {}


class Row(TypedDict):
    """One encoded example."""

    input_ids: list[int]
    label: Any


class EncodedDataset(Dataset[Row]):
    """Encoded examples with what they are to be answered with, as the learner has it."""

    def __init__(self, encoded: Encoded, labels: Sequence[Any]) -> None:
        self.encoded = encoded
        self.labels = list(labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Row:
        return {"input_ids": self.encoded.token_ids[index], "label": self.labels[index]}


class Collator:
    """Rows to padded tensors: ``input_ids``, ``attention_mask`` (n, longest), ``labels`` (n, ...).

    Parameters
    ----------
    pad_id : int
        The token that fills.
    as_tensor : callable
        Makes the labels of a batch a tensor.
    more_inputs : callable, optional
        Makes what else the model reads of the labels, as the decoder of an encoder-decoder does.
    """

    def __init__(
        self,
        pad_id: int,
        as_tensor: Callable[[Sequence[Any]], torch.Tensor] = torch.tensor,
        more_inputs: Callable[[torch.Tensor, int], dict[str, torch.Tensor]] = _no_more,
    ) -> None:
        self.pad_id = pad_id
        self.as_tensor = as_tensor
        self.more_inputs = more_inputs

    def __call__(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Return the batch of some rows."""
        batch = pad([row["input_ids"] for row in rows], self.pad_id)
        labels = self.as_tensor([row["label"] for row in rows])
        return {**batch, **self.more_inputs(labels, self.pad_id), "labels": labels}
