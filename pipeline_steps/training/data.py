"""Examples as a training set: token ids, targets, collation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from pipeline_steps.inference.forward import pad
from pipeline_steps.inference.tokenization import Encoded
from pipeline_steps.training.augmentation import Augmentation

Row = dict[str, Any]
"""One encoded example: ``input_ids``, ``label``, and what else is recorded of it."""
Array = np.ndarray[Any, Any]
_RECORDED = "_logits"


def _no_more(labels: torch.Tensor, pad_id: int) -> dict[str, torch.Tensor]:  # noqa: ARG001
    return {}


class EncodedDataset(Dataset[Row]):
    """Encoded examples with what they are to be answered with, as the learner has it.

    Parameters
    ----------
    encoded : Encoded
        Token ids.
    labels : sequence
        One for each row.
    recorded : mapping of str to sequence of array
        What other models said of each row, (models, classes) or (models, length, classes); the
        names end in ``_logits``.

    Attributes
    ----------
    augmentation : Augmentation or None
        What changes rows from epoch to epoch.
    """

    def __init__(
        self,
        encoded: Encoded,
        labels: Sequence[Any],
        recorded: Mapping[str, Sequence[Array]] | None = None,
    ) -> None:
        self.encoded = encoded
        self.labels = list(labels)
        self.recorded = dict(recorded or {})
        self.augmentation: Augmentation | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch is read, counted from 0: where rows are augmented they change."""
        if self.augmentation is not None:
            self.augmentation.set_epoch(epoch)

    def __getitem__(self, index: int) -> Row:
        ids, label = self.encoded.token_ids[index], self.labels[index]
        if self.augmentation is not None:
            ids, label = self.augmentation.changed.get(index, (ids, label))
        row = {"input_ids": ids, "label": label}
        return row | {name: values[index] for name, values in self.recorded.items()}


class Collator:
    """Rows to padded tensors: ``input_ids``, ``attention_mask`` (n, longest), ``labels`` (n, ...).

    What is recorded of tokens is padded with 0.

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
        recorded = {
            name: _stacked([row[name] for row in rows])
            for name in rows[0]
            if name.endswith(_RECORDED)
        }
        labels = self.as_tensor([row["label"] for row in rows])
        more = self.more_inputs(labels, self.pad_id)
        return {**batch, **recorded, **more, "labels": labels}


def _stacked(values: Sequence[Array]) -> torch.Tensor:
    """Return (n, models, classes), or (n, models, longest, classes) where values are by token."""
    if values[0].ndim == 2:  # noqa: PLR2004 - models, classes
        return torch.from_numpy(np.stack(values))
    longest = max(value.shape[1] for value in values)
    models, _, classes = values[0].shape
    filled = np.zeros((len(values), models, longest, classes), dtype=np.float32)
    for place, value in zip(filled, values, strict=True):
        place[:, : value.shape[1]] = value
    return torch.from_numpy(filled)
