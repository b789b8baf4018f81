"""Labels scored by how likely a language model finds their words after, or in, a prompt.

Causal models: the log-likelihood of the label's tokens after the prompt (Brown et al. 2020). Masked
models: that of the label's tokens at masks in the prompt, all masks at once (as Schick & Schuetze
2021 for one token; they fill several masks one after the other).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict
from transformers.modeling_outputs import SequenceClassifierOutput

from pipeline_steps.inference.forward import pad

Ids = tuple[int, ...]


class Prompt(BaseModel):
    """What stands around a text, as token ids, and what the labels are called.

    Parameters
    ----------
    model : str
        ``causal``: the label stands at the end; ``masked``: somewhere.
    before, between, after : tuple of int
        Tokens before the text, between text and label, after the label; special ones included.
    labels : tuple of tuple of int
        Tokens of each label.
    bias : tuple of float
        Taken off the labels' scores: their log-probabilities without any text.
    score : str
        ``sum`` of a label's token log-likelihoods, or their ``mean``.
    special_ids : tuple of int
        Tokens that the tokenizer sets around a text; they are taken off it.
    mask_id : int or None
        What stands for a label's token in a masked model.
    pad_id : int
        Fills rows up.
    max_positions : int
        Tokens that the model can read; the text is cut to leave room for all else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Literal["causal", "masked"]
    before: Ids
    between: Ids
    after: Ids
    labels: tuple[Ids, ...]
    bias: tuple[float, ...]
    score: Literal["sum", "mean"]
    special_ids: Ids
    mask_id: int | None
    pad_id: int
    max_positions: int

    @property
    def room(self) -> int:
        """Tokens that are left for a text."""
        longest = max(len(label) for label in self.labels)
        return self.max_positions - len(self.before) - len(self.between) - len(self.after) - longest


class PromptedClassifier(torch.nn.Module):
    """A language model that is called like a sequence classifier.

    Parameters
    ----------
    model : Module
        A causal or masked language model of transformers.
    prompt : Prompt
        What it is asked.
    """

    def __init__(self, model: torch.nn.Module, prompt: Prompt) -> None:
        super().__init__()
        self.model = model
        self.prompt = prompt

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> SequenceClassifierOutput:
        """Return ``logits`` (n, n_labels): log-likelihoods of the labels, less the bias."""
        texts = self._texts(input_ids, attention_mask)
        scores = torch.stack([self._scores(texts, label) for label in self.prompt.labels], dim=1)
        bias = torch.tensor(self.prompt.bias, device=scores.device)
        return SequenceClassifierOutput(logits=scores - bias)

    def _texts(self, input_ids: torch.Tensor, mask: torch.Tensor | None) -> list[list[int]]:
        special = set(self.prompt.special_ids)
        rows = input_ids.tolist()
        masks = torch.ones_like(input_ids).tolist() if mask is None else mask.tolist()
        return [
            [i for i, m in zip(row, of_row, strict=True) if m and i not in special][
                : max(self.prompt.room, 0)
            ]
            for row, of_row in zip(rows, masks, strict=True)
        ]

    def _scores(self, texts: Sequence[list[int]], label: Ids) -> torch.Tensor:
        """Return the log-likelihood of one label for each text (n,)."""
        prompt = self.prompt
        causal = prompt.model == "causal"
        shown = label if causal else (prompt.mask_id,) * len(label)
        starts = [len(prompt.before) + len(text) + len(prompt.between) for text in texts]
        rows = [
            [*prompt.before, *text, *prompt.between, *shown, *(() if causal else prompt.after)]
            for text in texts
        ]
        device = next(self.model.parameters()).device
        inputs = {name: t.to(device) for name, t in pad(rows, prompt.pad_id).items()}  # type: ignore[arg-type]
        logits = self.model(**inputs).logits
        # A causal model says at each position what comes next.
        first = torch.tensor(starts, device=device) - int(causal)
        places = first[:, None] + torch.arange(len(label), device=device)
        asked = logits[torch.arange(len(rows), device=device)[:, None], places].float()
        wanted = torch.tensor(label, device=device).expand(len(rows), -1).unsqueeze(-1)
        found: torch.Tensor = asked.log_softmax(dim=-1).gather(-1, wanted).squeeze(-1)
        return found.mean(dim=1) if prompt.score == "mean" else found.sum(dim=1)

    def save_pretrained(self, directory: Any) -> None:
        """Write the language model and the prompt into a directory."""
        from pipeline_steps.inference.prompted.storage import save_prompted

        save_prompted(self, directory)
