"""A progress bar of fine-tuning that keeps standard output for results."""

from __future__ import annotations

from typing import Any

from transformers import ProgressCallback

_SHOWN = {
    "loss": "loss",
    "eval_loss": "valid loss",
    "eval_accuracy": "valid accuracy",
    "eval_macro_f1": "valid macro-F1",
}


class QuietBar(ProgressCallback):
    """The Trainer's bar with the latest figures beside it.

    The Trainer's own prints every log as a line on standard output, among a command's JSON.
    """

    def __init__(self) -> None:
        super().__init__()
        self.figures: dict[str, str] = {}

    def on_log(
        self,
        args: Any,  # noqa: ARG002 - the Trainer's signature
        state: Any,  # noqa: ARG002
        control: Any,  # noqa: ARG002
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Show the newest loss and validation figures."""
        found = {_SHOWN[name]: value for name, value in (logs or {}).items() if name in _SHOWN}
        self.figures |= {name: f"{value:.3f}" for name, value in found.items()}
        bar: Any = (
            self.training_bar
        )  # only where the Trainer leads (the first process) there is one
        if bar is not None:
            bar.set_postfix_str(", ".join(f"{k} {v}" for k, v in self.figures.items()))
