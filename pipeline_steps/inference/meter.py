"""Counts what a model reads: calls, tokens and padding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

_TEXTS = ("decoder_input_ids", "input_ids", "inputs_embeds")


class ForwardMeter:
    """Counts the calls of a model and the tokens in them, from when it is made.

    A step of decoding with a cache counts the tokens of that step. Sums stay on the model's device
    until they are asked for, so that counting never waits for it.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self.n_forwards = 0
        self._n_read = 0
        self._real: list[torch.Tensor] = []
        inner = getattr(model, "get_base_model", lambda: model)()  # which PEFT's generate calls too
        inner.register_forward_pre_hook(self._count, with_kwargs=True)

    def counts(self) -> Mapping[str, int]:
        """Return calls, real tokens and padding tokens so far."""
        if self._real:
            self._real = [torch.stack(self._real).sum()]
        n_tokens = int(self._real[0]) if self._real else 0
        return {
            "n_forwards": self.n_forwards,
            "n_tokens": n_tokens,
            "n_padding": self._n_read - n_tokens,
        }

    def _count(self, _module: torch.nn.Module, args: Any, kwargs: Mapping[str, Any]) -> None:
        self.n_forwards += 1
        found = next((kwargs[name] for name in _TEXTS if kwargs.get(name) is not None), None)
        read = found if found is not None else next(iter(args), None)
        if read is None:
            return
        shape = read.shape[:2]
        n = shape.numel()
        self._n_read += n
        mask = kwargs.get("attention_mask")
        if mask is not None and mask.shape == shape:
            self._real.append(mask.sum())
        else:
            self._real.append(torch.tensor(n, device=read.device))
