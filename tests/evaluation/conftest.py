"""Builders of predictions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline_steps.predictions_file import PredictionTable, write_predictions
from pipeline_steps.types import Predictions


def make_table(truth: list[int], predicted: list[int], labels: tuple[str, ...]) -> PredictionTable:
    """Return a table whose largest logit is the prediction, with confidences that differ."""
    logits = np.zeros((len(truth), len(labels)), dtype=np.float32)
    logits[np.arange(len(truth)), predicted] = 1.0 + 0.01 * np.arange(len(truth))
    names = np.array(labels, dtype=object)
    return PredictionTable(
        example_ids=np.array([f"r{i}" for i in range(len(truth))], dtype=object),
        truth=names[truth],
        logits=logits,
        labels=labels,
        n_tokens=np.full(len(truth), 5, dtype=np.int32),
        columns={
            "domain": np.array(["a" if i % 2 else "b" for i in range(len(truth))], dtype=object),
            "group": np.full(len(truth), None),
            "source": np.full(len(truth), None),
            "timestamp": np.full(len(truth), None),
        },
    )


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Predictions]:
    """Return a function that writes predictions of a model called by its digest."""

    def write(
        truth: list[int],
        predicted: list[int],
        *,
        digest: str = "model",
        suite: str = "test",
        labels: tuple[str, ...] = ("x", "y", "z"),
    ) -> Predictions:
        return write_predictions(
            tmp_path / f"{digest}-{suite}.parquet",
            make_table(truth, predicted, labels),
            checkpoint_digest=digest,
            dataset_digest="rows",
            suite=suite,
            kind="clean",
        )

    return write
