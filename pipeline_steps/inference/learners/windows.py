"""Long texts as overlapping windows of tokens that know where in the text they stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from pipeline_steps.inference.batching import length_sorted_batches
from pipeline_steps.inference.forward import pad
from pipeline_steps.inference.tokenization import Encoded

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Windows(Encoded):
    """Token ids of windows, several of which may belong to one row: no text is cut.

    ``offsets`` holds for each window where its tokens begin and end in the row's text, (length, 2);
    (-1, -1) for tokens that are not of the text.
    """

    rows: list[int]
    offsets: list[Array]

    def tokens_by_row(self, n_rows: int) -> Array:
        """Return how many tokens were read of each row, (n_rows,), overlaps counted twice."""
        return np.bincount(self.rows, weights=self.lengths, minlength=n_rows).astype(np.int32)


def encode_windows(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    max_length: int,
    stride: int,
    before: Sequence[str] | None = None,
) -> Windows:
    """Return the windows of texts, each with the text of ``before`` (a question) put first.

    Parameters
    ----------
    tokenizer
        A fast one: it says where each token stands in the text.
    texts : sequence of str
        The texts that are cut.
    max_length : int
        Tokens of a window at most.
    stride : int
        Tokens that neighbouring windows share; at most a quarter of ``max_length``.
    before : sequence of str, optional
        One text for each of ``texts`` that stands whole in each of its windows.
    """
    if not texts:
        return Windows([], 0, [], [])
    found = tokenizer(
        *((list(texts),) if before is None else (list(before), list(texts))),
        truncation=True if before is None else "only_second",
        max_length=max_length,
        stride=min(stride, max_length // 4),
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    rows = found["overflow_to_sample_mapping"]
    of_text = 0 if before is None else 1
    offsets = []
    for index, spans in enumerate(found["offset_mapping"]):
        mine = np.array([place == of_text for place in found.sequence_ids(index)], dtype=bool)
        offsets.append(np.where(mine[:, None], np.array(spans, dtype=np.int32), -1))
    return Windows(found["input_ids"], 0, rows, offsets)


def cut_texts(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_tokens: int
) -> list[str]:
    """Return texts without what goes beyond so many tokens."""
    if not texts:
        return []
    found = tokenizer(
        list(texts), add_special_tokens=False, truncation=False,
        return_offsets_mapping=True, verbose=False,
    )  # fmt: skip
    return [
        text if len(spans) <= max_tokens else text[: spans[max_tokens - 1][1]]
        for text, spans in zip(texts, found["offset_mapping"], strict=True)
    ]


def _all_tokens(row: int, values: Array) -> Array:  # noqa: ARG001 - what may be picked
    return values.copy()


def token_outputs(
    model: torch.nn.Module,
    encoded: Encoded,
    pad_id: int,
    batch_tokens: int,
    pick: Callable[[int, Array], Array] = _all_tokens,
) -> list[Array]:
    """Return what is picked from each window's logits (length, n_labels), padding left out.

    A model that classifies whole windows has logits (n_labels,) of each.
    """
    device = next(model.parameters()).device
    found: list[Any] = [None] * len(encoded)
    with torch.inference_mode():
        for batch in length_sorted_batches(encoded.lengths, batch_tokens):
            inputs = pad([encoded.token_ids[row] for row in batch], pad_id)
            inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
            logits = model(**inputs).logits.float().cpu().numpy()
            for row, values in zip(batch, logits, strict=True):
                n = len(encoded.token_ids[row] if values.ndim > 1 else values)
                found[row] = pick(row, values[:n])
    return found
