"""Padded batches and logits in dataset order."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch

from pipeline_steps.inference.batching import length_sorted_batches
from pipeline_steps.inference.first_token import first_token_only


def pad(rows: Sequence[Sequence[int]], pad_id: int) -> dict[str, torch.Tensor]:
    """Return ``input_ids`` and ``attention_mask`` (n, longest), padded on the right."""
    lengths = np.array([len(row) for row in rows])
    is_token = np.arange(lengths.max()) < lengths[:, None]
    input_ids = np.full(is_token.shape, pad_id, dtype=np.int64)
    input_ids[is_token] = np.fromiter(itertools.chain.from_iterable(rows), np.int64, lengths.sum())
    return {
        "input_ids": torch.from_numpy(input_ids),
        "attention_mask": torch.from_numpy(is_token.astype(np.int64)),
    }


def logits_in_order(
    model: torch.nn.Module, token_ids: Sequence[Sequence[int]], pad_id: int, batch_tokens: int
) -> np.ndarray[Any, Any]:
    """Return logits (n, n_labels) in float32, row i for ``token_ids[i]``.

    Rows are run in batches of like length; the order is restored, so anything that is indexed by
    row is right.
    """
    device = next(model.parameters()).device
    rows: list[np.ndarray[Any, Any] | None] = [None] * len(token_ids)
    with torch.inference_mode(), first_token_only():
        for batch in length_sorted_batches([len(ids) for ids in token_ids], batch_tokens):
            inputs = pad([token_ids[row] for row in batch], pad_id)
            inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
            logits = model(**inputs).logits.float().cpu().numpy()
            for row, values in zip(batch, logits, strict=True):
                rows[row] = values
    return np.stack(rows) if rows else np.zeros((0, 0), dtype=np.float32)  # type: ignore[arg-type]


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context of a precision: bfloat16 autocast, or none for fp32."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def best_device() -> torch.device:
    """Return the accelerator of this machine, or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
