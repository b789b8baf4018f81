"""What learners have in common that read whole texts and answer with a sequence classifier."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerBase

from pipeline_steps.inference.examples_file import ExampleRows
from pipeline_steps.inference.first_token import trim_last_layer
from pipeline_steps.inference.forward import logits_in_order
from pipeline_steps.inference.learners.body import build_with_head
from pipeline_steps.inference.learners.learner import ReadsRowsOnly
from pipeline_steps.inference.tokenization import Encoded, encode
from pipeline_steps.inference.unmerged.storage import load_model

Array = np.ndarray[Any, Any]


class WholeTexts(ReadsRowsOnly):
    """A sequence classifier of transformers over one or two texts."""

    def build(self, base: Path, labels: Sequence[str]) -> tuple[torch.nn.Module, tuple[str, ...]]:
        """Return the base with a classification head."""
        return build_with_head(AutoModelForSequenceClassification, base, labels)

    def load(self, path: Path) -> torch.nn.Module:
        """Return the classifier in a checkpoint."""
        model = load_model(path, AutoModelForSequenceClassification)
        trim_last_layer(model)
        return model

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        rows: ExampleRows,
        max_length: int,
        stride: int,  # noqa: ARG002 - a text that is too long is cut
    ) -> Encoded:
        """Return the texts, or text pairs, cut to ``max_length`` tokens."""
        return encode(tokenizer, rows.texts, rows.pairs, max_length) if rows else Encoded([], 0)

    def run(
        self,
        model: torch.nn.Module,
        encoded: Encoded,
        pad_id: int,
        batch_tokens: int,
        n_labels: int,
    ) -> Array:
        """Return logits (n, n_labels)."""
        if not len(encoded):
            return np.zeros((0, n_labels), dtype=np.float32)
        return logits_in_order(model, encoded.token_ids, pad_id, batch_tokens)
