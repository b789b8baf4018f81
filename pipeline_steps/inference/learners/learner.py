"""What training and inference ask of a problem's model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import PreTrainedTokenizerBase

from pipeline_steps.inference.examples_file import ExampleRows
from pipeline_steps.inference.tokenization import Encoded
from pipeline_steps.predictions_file import AnyTable


class Learner(Protocol):
    """Head, encoding, loss and decoding of one problem.

    A long row may be read in several windows: what is encoded, learnt from and run are windows,
    what is answered are rows.
    """

    def labels_of(self, rows: ExampleRows) -> tuple[str, ...]:
        """Return what the model can answer, from the training rows.

        Raises
        ------
        TrainingError
            If they cannot be learnt from.
        """
        ...

    def build(self, base: Path, labels: Sequence[str]) -> tuple[torch.nn.Module, tuple[str, ...]]:
        """Return a base model with a new head, and the names of the head's parameters."""
        ...

    def load(self, path: Path) -> torch.nn.Module:
        """Return the model in a checkpoint."""
        ...

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        rows: ExampleRows,
        max_length: int,
        stride: int,
    ) -> Encoded:
        """Return the windows of rows as token ids."""
        ...

    def targets(self, encoded: Any, rows: ExampleRows, labels: Sequence[str]) -> list[Any]:
        """Return what each window is to be answered with, as numbers."""
        ...

    def classes(self, targets: Sequence[Any]) -> list[int]:
        """Return the class of each term of the loss; nothing where the terms are of no class."""
        ...

    def as_tensor(self, targets: Sequence[Any]) -> torch.Tensor:
        """Return the targets of a batch of windows, padded."""
        ...

    def more_inputs(self, labels: torch.Tensor, pad_id: int) -> dict[str, torch.Tensor]:
        """Return what the model reads beside the rows, made of a batch's targets; mostly nothing.

        :class:`ReadsRowsOnly` is the usual answer.
        """
        ...

    def n_items(self, labels: torch.Tensor) -> int:
        """Return how many terms the loss of these targets has."""
        ...

    def loss(self, outputs: Any, labels: torch.Tensor, n_items: int) -> torch.Tensor:
        """Return the summed loss over ``n_items``: the terms of all accumulated batches."""
        ...

    def divergence(
        self, outputs: Any, target: Any, labels: torch.Tensor, n_items: int
    ) -> torch.Tensor:
        """Return the summed KL(target || outputs) over ``n_items``; where nothing counts, 0."""
        ...

    def run(
        self, model: torch.nn.Module, encoded: Any, pad_id: int, batch_tokens: int, n_labels: int
    ) -> Any:
        """Return the model's outputs on all windows, in their order, as numpy arrays."""
        ...

    def validation_scores(
        self, outputs: Any, encoded: Any, targets: Sequence[Any], rows: ExampleRows,
        labels: Sequence[str],
    ) -> dict[str, float]:  # fmt: skip
        """Return ``loss`` and the problem's two headline metrics."""
        ...

    def table(
        self, outputs: Any, encoded: Any, rows: ExampleRows, labels: tuple[str, ...]
    ) -> AnyTable:
        """Return the predictions with their truth."""
        ...

    def answers(
        self, outputs: Any, encoded: Any, rows: ExampleRows, labels: tuple[str, ...]
    ) -> list[Mapping[str, Any]]:
        """Return what a served model answers, row by row."""
        ...


class ReadsRowsOnly:
    """A learner whose model reads the encoded rows and nothing else."""

    def more_inputs(self, labels: torch.Tensor, pad_id: int) -> dict[str, torch.Tensor]:  # noqa: ARG002
        """Return nothing."""
        return {}
