"""How much a model forgets while it learns one dataset after another.

All read a matrix of scores (higher is better): row i after training on dataset i, column j on
dataset j, both in the order of training.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline_steps.errors import TrainingError


def forgetting_loss(scores: Sequence[Sequence[float]]) -> float:
    """Return the mean, over all datasets but the last, of the best earlier score minus the last.

    Chaudhry et al. 2018 (ECCV, arXiv 1801.10112), equation 3: between -1 and 1 for accuracies,
    smaller is better, negative where later training helped.

    Examples
    --------
    >>> forgetting_loss([[0.9, 0.1], [0.7, 0.8]])  # 0.9 - 0.7
    0.2
    """
    matrix = _square(scores)
    return float(round(np.mean([_lost(matrix[:, j], j) for j in range(len(matrix) - 1)]), 12))


def forgetting_by_dataset(scores: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Return what was forgotten of each dataset but the last, as :func:`forgetting_loss` counts."""
    matrix = _square(scores)
    return tuple(_lost(matrix[:, j], j) for j in range(len(matrix) - 1))


def backward_transfer_score(scores: Sequence[Sequence[float]]) -> float:
    """Return the mean, over all datasets but the last, of the last score minus the own one.

    Lopez-Paz and Ranzato 2017 (NeurIPS, arXiv 1706.08840), equation 3. Negative is forgetting.

    Examples
    --------
    >>> backward_transfer_score([[0.9, 0.1], [0.7, 0.8]])  # 0.7 - 0.9
    -0.2
    """
    matrix = _square(scores)
    own = np.diag(matrix)[:-1]
    return float(round(np.mean(matrix[-1, :-1] - own), 12))


def forward_transfer_score(scores: Sequence[Sequence[float]], untrained: Sequence[float]) -> float:
    """Return the mean, over all datasets but the first, of the score just before its training.

    Minus that of a model that was trained on none. Lopez-Paz and Ranzato 2017, equation 4.

    Examples
    --------
    >>> forward_transfer_score([[0.9, 0.6], [0.7, 0.8]], untrained=[0.5, 0.5])  # 0.6 - 0.5
    0.1
    """
    matrix = _square(scores)
    before = np.diag(matrix, k=1)
    return float(round(np.mean(before - np.asarray(untrained, dtype=float)[1:]), 12))


def _lost(column: np.ndarray, j: int) -> float:
    """Return the best score since the dataset's own training, without the last, minus the last."""
    return float(column[j:-1].max() - column[-1])


def _square(scores: Sequence[Sequence[float]]) -> np.ndarray:
    matrix = np.asarray(scores, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:  # noqa: PLR2004
        raise TrainingError(
            f"scores of shape {matrix.shape}",
            expected="a square matrix of at least two datasets, row i after training on dataset i",
            fix="evaluate every dataset after every training",
        )
    return matrix
