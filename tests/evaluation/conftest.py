"""Builders of predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline_steps.predictions_file import PredictionTable, write_predictions
from pipeline_steps.types import Predictions, ReportKind


def make_table(
    truth: list[int],
    predicted: list[int],
    labels: tuple[str, ...],
    *,
    known: int | None = None,
    order: Sequence[int] | None = None,
) -> PredictionTable:
    """Return a table whose largest logit is the prediction, with confidences that differ.

    ``known``: the model knows the first labels only; ``order``: the rows are written in it.
    """
    n, width = len(truth), known or len(labels)
    logits = np.zeros((n, width), dtype=np.float32)
    logits[np.arange(n), predicted] = 1.0 + 0.01 * np.arange(n)
    rows = np.arange(n) if order is None else np.array(order)
    nothing = np.full(n, None)
    return PredictionTable(
        example_ids=np.array([f"r{i}" for i in rows], dtype=object),
        truth=np.array(labels, dtype=object)[truth][rows],
        logits=logits[rows],
        labels=labels[:width],
        n_tokens=np.full(n, 5, dtype=np.int32),
        columns={
            "domain": np.array(["a" if i % 2 else "b" for i in rows], dtype=object),
            "group": nothing,
            "source": nothing,
            "timestamp": nothing,
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
        kind: ReportKind = "clean",
        **how,
    ) -> Predictions:
        return write_predictions(
            tmp_path / f"{digest}-{suite}.parquet",
            make_table(truth, predicted, labels, **how),
            checkpoint_digest=digest,
            dataset_digest="rows",
            suite=suite,
            kind=kind,
        )

    return write
