"""What it costs to answer: two checkpoints in turn on the same rows, in one process."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binom

from pipeline_steps.comparison_types import Cost, CostComparison
from pipeline_steps.inference.examples_file import ExampleRows, read_examples
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.judging_params import PredictParams
from pipeline_steps.types import Checkpoint, DatasetRef

Array = np.ndarray[Any, Any]
_ROWS = 60
_WARM_UP = 5
_CONFIDENCE = 0.95


def compare_costs(
    candidate: Checkpoint, champion: Checkpoint, dataset: DatasetRef, params: PredictParams
) -> CostComparison:
    """Return latency of one row and size of two checkpoints, and the ratio of both.

    Each of the first 60 rows is answered alone by both, who takes turns to be first; a loaded
    machine slows both. The interval of the median ratio is that of order statistics.

    Parameters
    ----------
    candidate, champion : Checkpoint
        Both are loaded at once.
    dataset : DatasetRef
        Whose first rows are answered.
    params : PredictParams
        The precision.
    """
    rows = _single_rows(read_examples(dataset.path), _ROWS)
    answers = [_answering(checkpoint, params) for checkpoint in (candidate, champion)]
    seconds = _in_turn(answers, rows)
    ratios = np.sort(seconds[0] / seconds[1])
    low, high = _median_places(len(ratios))
    return CostComparison(
        candidate=_cost(candidate, seconds[0]),
        champion=_cost(champion, seconds[1]),
        n=len(ratios),
        latency_ratio=float(np.median(ratios)),
        ratio_low=float(ratios[low]),
        ratio_high=float(ratios[high]),
        machine=f"{platform.machine()}, {platform.system()}",
    )


def size_bytes(path: Path) -> int:
    """Return the bytes of all files of a checkpoint."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _answering(checkpoint: Checkpoint, params: PredictParams) -> Callable[[ExampleRows], Any]:
    return Predictor.from_checkpoint(
        checkpoint.path, precision=params.precision, batch_tokens=params.batch_tokens
    ).table


def _in_turn(answers: Sequence[Callable[[ExampleRows], Any]], rows: Sequence[ExampleRows]) -> Array:
    """Return the seconds of each answer, (2, n)."""
    seconds = np.zeros((2, len(rows)))
    for row in rows[:_WARM_UP]:
        for answer in answers:
            answer(row)
    for place, row in enumerate(rows):
        for side in (0, 1) if place % 2 else (1, 0):
            started = time.perf_counter()
            answers[side](row)
            seconds[side, place] = time.perf_counter() - started
    return seconds


def _median_places(n: int) -> tuple[int, int]:
    """Return which two of n sorted values hold the median with 95 % confidence."""
    low = max(0, int(binom.ppf((1.0 - _CONFIDENCE) / 2.0, n, 0.5)) - 1)
    return low, n - 1 - low


def _cost(checkpoint: Checkpoint, seconds: Array) -> Cost:
    median, high = (1e3 * float(np.quantile(seconds, share)) for share in (0.5, 0.95))
    return Cost(
        checkpoint_digest=checkpoint.digest,
        latency_ms=median,
        latency_p95_ms=high,
        size_bytes=size_bytes(checkpoint.path),
    )


def _single_rows(examples: ExampleRows, most: int) -> list[ExampleRows]:
    return [
        ExampleRows(
            example_ids=examples.example_ids[i : i + 1],
            texts=examples.texts[i : i + 1],
            pairs=examples.pairs[i : i + 1],
            labels=examples.labels[i : i + 1],
            targets=examples.targets[i : i + 1],
            metadata={name: values[i : i + 1] for name, values in examples.metadata.items()},
        )
        for i in range(min(most, len(examples)))
    ]
