"""Who must know which epoch begins: the order of batches, masks, noise."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback


class EpochCallback(TrainerCallback):
    """Tells what has a ``set_epoch`` which epoch begins, however the loader was wrapped."""

    def __init__(self, *listeners: Any) -> None:
        self.listeners = [listener for listener in listeners if hasattr(listener, "set_epoch")]

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Say it, counted from 0."""
        for listener in self.listeners:
            listener.set_epoch(int((state.epoch or 0.0) + 1e-6))
