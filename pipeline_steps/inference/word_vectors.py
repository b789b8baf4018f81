"""Words near a word and texts near a text, by the vectors of the default base model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline_steps.inference.base_model import DEFAULT_BASE_MODEL, resolve_base_model
from pipeline_steps.inference.batching import length_sorted_batches
from pipeline_steps.inference.forward import best_device, pad
from pipeline_steps.inference.tokenization import be_quiet, load_tokenizer
from pipeline_steps.inference.word_neighbours import WordNeighbours, unit

Array = np.ndarray[Any, Any]
_MAX_LENGTH = 256
_BATCH_TOKENS = 4_096


class TextVectors:
    """The default base model as a thesaurus: it comes with Holdfast and needs no download.

    All versions are attacked with the same candidates, whatever they were trained from.
    """

    def __init__(self, path: Path, device: torch.device | None = None) -> None:
        from transformers import AutoModel

        be_quiet()
        self.tokenizer = load_tokenizer(path)
        self.model = AutoModel.from_pretrained(path, local_files_only=True).eval()
        self.model.to(device or best_device())
        table = self.model.get_input_embeddings().weight.detach().float().cpu().numpy()
        self.thesaurus = WordNeighbours(self.tokenizer, table)

    @classmethod
    def default(cls) -> TextVectors:
        """Return those of the base model that is installed with Holdfast."""
        return cls(resolve_base_model(DEFAULT_BASE_MODEL).path)

    def neighbours(self, word: str, most: int) -> list[tuple[str, float]]:
        """Return up to ``most`` words by the cosine of their token vectors with a word's."""
        return self.thesaurus(word, most)

    def sentences(self, texts: Sequence[str]) -> Array:
        """Return the mean of the token states of texts (n, width), of length 1."""
        encoded = self.tokenizer(list(texts), truncation=True, max_length=_MAX_LENGTH)["input_ids"]
        vectors: list[Array] = [np.zeros(0)] * len(texts)
        device = next(self.model.parameters()).device
        with torch.inference_mode():
            for batch in length_sorted_batches([len(ids) for ids in encoded], _BATCH_TOKENS):
                inputs = pad([encoded[row] for row in batch], 0)
                inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
                states = self.model(**inputs).last_hidden_state.float()
                is_token = inputs["attention_mask"][..., None]
                means = (states * is_token).sum(dim=1) / is_token.sum(dim=1)
                for row, vector in zip(batch, means.cpu().numpy(), strict=True):
                    vectors[row] = vector
        return unit(np.stack(vectors))
