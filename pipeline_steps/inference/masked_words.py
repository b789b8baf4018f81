"""What a masked language model would say in the place of a word."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from pipeline_steps.errors import CheckpointError
from pipeline_steps.inference.forward import best_device
from pipeline_steps.inference.tokenization import WORD_STARTS, be_quiet, load_tokenizer

_MAX_LENGTH = 256
_AT_ONCE = 32


class MaskedLanguageModel:
    """A base model with the head it was pre-trained with.

    Raises
    ------
    CheckpointError
        If the base has no such head: one that starts at random would propose any word.
    """

    def __init__(self, name: str, path: Path) -> None:
        from transformers import AutoModelForMaskedLM

        refuse_without_head(name, path)
        be_quiet()
        self.tokenizer = load_tokenizer(path)
        self.model = AutoModelForMaskedLM.from_pretrained(path, local_files_only=True).eval()
        self.model.to(best_device())
        self.marked = any(token[:1] in WORD_STARTS for token in self.tokenizer.get_vocab())

    def proposals(
        self, text: str, spans: Sequence[tuple[int, int]], most: int
    ) -> list[list[tuple[str, float]]]:
        """Return for each span of a text up to ``most`` whole words with their probability."""
        mask = self.tokenizer.mask_token
        texts = [f"{text[:start]}{mask}{text[end:]}" for start, end in spans]
        found: list[list[tuple[str, float]]] = []
        for start in range(0, len(texts), _AT_ONCE):
            found += self._of_batch(texts[start : start + _AT_ONCE], most)
        return found

    def _of_batch(self, texts: list[str], most: int) -> list[list[tuple[str, float]]]:
        encoded = self.tokenizer(
            texts, truncation=True, max_length=_MAX_LENGTH, padding=True, return_tensors="pt"
        ).to(self.model.device)
        with torch.inference_mode():
            logits = self.model(**encoded).logits.float()
        results: list[list[tuple[str, float]]] = []
        for row, ids in enumerate(encoded["input_ids"]):
            places = (ids == self.tokenizer.mask_token_id).nonzero()
            # A mask that was cut off has no proposals.
            results.append(self._best(logits[row, int(places[0])], most) if len(places) else [])
        return results

    def _best(self, logits: torch.Tensor, most: int) -> list[tuple[str, float]]:
        shares, ids = logits.softmax(-1).topk(min(4 * most, logits.shape[-1]))
        tokens = self.tokenizer.convert_ids_to_tokens(ids.tolist())
        words = [
            (self._whole_word(token), share) for token, share in zip(tokens, shares, strict=True)
        ]
        return [(word, float(share)) for word, share in words if word.isalpha()][:most]

    def _whole_word(self, token: str | None) -> str:
        """Return the word that a token is; nothing for a part of one, or a row beyond the words."""
        if token is None or (self.marked and token[:1] not in WORD_STARTS):
            return ""
        return token[1:] if self.marked else token


def refuse_without_head(name: str, path: Path) -> None:
    """Refuse a base model that was saved without its masked-language head.

    Raises
    ------
    CheckpointError
        If its configuration names no architecture for masked language modelling.
    """
    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    kinds = config.get("architectures") or []
    if not any(kind.endswith(("ForMaskedLM", "ForPreTraining")) for kind in kinds):
        raise CheckpointError(
            f"{name} has no masked-language head (it is {', '.join(kinds) or 'of unknown kind'})",
            expected="a base model saved with the head it was pre-trained with, for the attack bae",
            fix="leave bae out of attack.recipes, or fine-tune such a base (finetune.base_model)",
        )
