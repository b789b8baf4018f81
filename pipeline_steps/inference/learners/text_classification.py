"""Text classification: the whole text's state, one label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline_steps.inference.examples_file import ExampleRows
from pipeline_steps.inference.learners.losses import (
    Criterion,
    cross_entropy_sum,
    divergence_sum,
)
from pipeline_steps.inference.learners.one_label import AnswersOneLabel, label_indices
from pipeline_steps.inference.learners.scores import classification_scores
from pipeline_steps.inference.learners.texts import Array, WholeTexts
from pipeline_steps.inference.prompted.storage import is_prompted, load_prompted
from pipeline_steps.inference.tokenization import Encoded


@dataclass(frozen=True)
class TextClassificationLearner(AnswersOneLabel, WholeTexts):
    """A sequence classifier of transformers."""

    criterion: Criterion = cross_entropy_sum

    def load(self, path: Path) -> torch.nn.Module:
        """Return the classifier in a checkpoint."""
        if is_prompted(path):
            return load_prompted(path)
        return super().load(path)

    def targets(
        self,
        encoded: Encoded,  # noqa: ARG002 - one window a row
        rows: ExampleRows,
        labels: Sequence[str],
    ) -> list[int]:
        """Return the index of each row's label."""
        return label_indices(rows.labels, labels)

    def classes(self, targets: Sequence[int]) -> list[int]:
        """Return the label of each row."""
        return list(targets)

    def as_tensor(self, targets: Sequence[int]) -> torch.Tensor:
        """Return label indices (n,)."""
        return torch.tensor(targets)

    def n_items(self, labels: torch.Tensor) -> int:
        """Return the number of rows."""
        return len(labels)

    def loss(self, outputs: Any, labels: torch.Tensor, n_items: int) -> torch.Tensor:
        """Return the loss, a sum over rows."""
        return self.criterion(outputs.logits, labels) / n_items

    def divergence(
        self,
        outputs: Any,
        target: Any,
        labels: torch.Tensor,  # noqa: ARG002 - every row counts
        n_items: int,
    ) -> torch.Tensor:
        """Return KL(target || outputs)."""
        return divergence_sum(outputs.logits, target.logits) / n_items

    def validation_scores(
        self,
        outputs: Array,
        encoded: Encoded,  # noqa: ARG002
        targets: Sequence[int],
        rows: ExampleRows,  # noqa: ARG002
        labels: Sequence[str],  # noqa: ARG002
    ) -> dict[str, float]:
        """Return loss, accuracy and macro-F1."""
        return classification_scores(outputs, np.array(targets))
