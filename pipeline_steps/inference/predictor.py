"""A loaded checkpoint that answers texts; needs torch, transformers, numpy and pydantic only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline_steps.inference.checkpoint import load_checkpoint
from pipeline_steps.inference.forward import autocast, best_device, logits_in_order
from pipeline_steps.inference.precision import choose_precision
from pipeline_steps.inference.tokenization import Encoded, be_quiet, encode, load_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

Array = np.ndarray[Any, Any]


class Predictor:
    """Logits and labels of texts, in the order of the texts whatever the batches."""

    def __init__(
        self,
        model: torch.nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        labels: tuple[str, ...],
        *,
        max_length: int,
        batch_tokens: int,
        precision: str,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.labels = labels
        self.max_length = max_length
        self.batch_tokens = batch_tokens
        self.precision = precision

    @classmethod
    def from_checkpoint(
        cls, path: Path, *, precision: str = "fp32", batch_tokens: int = 4096, verify: bool = True
    ) -> Predictor:
        """Return a predictor on the best device of this machine.

        Raises
        ------
        CheckpointError
            If the checkpoint is unfinished, truncated or altered.
        """
        import torch
        from transformers import AutoModelForSequenceClassification

        checkpoint = load_checkpoint(Path(path), verify=verify)
        be_quiet()
        device = best_device()
        model = AutoModelForSequenceClassification.from_pretrained(
            path, dtype=torch.float32, use_safetensors=True, local_files_only=True
        )
        return cls(
            model.to(device).eval(),
            load_tokenizer(Path(path)),
            checkpoint.labels,
            max_length=int(checkpoint.parameters["max_length"]),
            batch_tokens=batch_tokens,
            precision=choose_precision(precision, device),
        )

    def encode(self, texts: Sequence[str], pairs: Sequence[str | None] | None = None) -> Encoded:
        """Return the token ids of texts."""
        if not texts:
            return Encoded([], 0)
        return encode(self.tokenizer, texts, pairs, self.max_length)

    def logits_of(self, encoded: Encoded) -> Array:
        """Return logits (n, n_labels) of encoded texts."""
        if not len(encoded):
            return np.zeros((0, len(self.labels)), dtype=np.float32)
        device = next(self.model.parameters()).device
        with autocast(self.precision, device):
            return logits_in_order(
                self.model, encoded.token_ids, int(self.tokenizer.pad_token_id), self.batch_tokens
            )

    def logits(self, texts: Sequence[str], pairs: Sequence[str | None] | None = None) -> Array:
        """Return logits (n, n_labels) of texts."""
        return self.logits_of(self.encode(texts, pairs))

    def predict(
        self, texts: Sequence[str], pairs: Sequence[str | None] | None = None
    ) -> list[dict[str, Any]]:
        """Return label, its probability and the probability of every label, for each text."""
        logits = self.logits(texts, pairs).astype(np.float64)
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        probabilities = shifted / shifted.sum(axis=1, keepdims=True)
        return [
            {
                "label": self.labels[int(row.argmax())],
                "score": float(row.max()),
                "scores": dict(zip(self.labels, map(float, row), strict=True)),
            }
            for row in probabilities
        ]
