"""Few labelled texts, learnt in two steps (SetFit, Tunstall et al. 2022).

First the encoder learns from pairs of texts: those of one label shall point the same way, those of
two shall be orthogonal. Then a logistic head is fitted to its frozen sentence vectors. ``n`` texts
give on the order of ``n**2`` pairs, which is why few suffice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.unmerged.mean_pooling import sentence_vectors

__all__ = [
    "Pair",
    "contrastive_pairs",
    "cosine_loss",
    "fit_logistic_head",
    "sentence_vectors",
]

_ITERATIONS = 200


@dataclass(frozen=True)
class Pair:
    """Two rows, and whether they have the same label.

    Parameters
    ----------
    first, second : int
        Positions of the rows.
    same : bool
        Whether their labels are equal.
    """

    first: int
    second: int
    same: bool


def contrastive_pairs(labels: Sequence[int], n_iterations: int, seed: int) -> list[Pair]:
    """Return pairs for contrastive learning, as many of one label as of two, in random order.

    Every row comes ``n_iterations`` times with a row of its label (another one, where there is
    one) and as often with a row of another label.

    Parameters
    ----------
    labels : sequence of int
        Label of each row.
    n_iterations : int
        Pairs of each kind for a row; the authors took 20.
    seed : int
        Same seed, same pairs.

    Raises
    ------
    TrainingError
        If all rows have the same label.

    References
    ----------
    Tunstall et al. (2022). Efficient few-shot learning without prompts. arXiv:2209.11055,
    section 3.1.
    """
    truth = np.asarray(labels)
    if len(np.unique(truth)) < 2:  # noqa: PLR2004 - pairs of two labels need two
        raise TrainingError(
            f"{len(truth)} rows of {len(np.unique(truth))} label(s)",
            expected="rows of at least two labels",
            fix="add training rows of another label",
        )
    generator = np.random.default_rng(seed)
    pairs = [
        Pair(row, int(generator.choice(partners)), same)
        for row in range(len(truth))
        for same, partners in _partners(truth, row)
        for _ in range(n_iterations)
    ]
    return [pairs[index] for index in generator.permutation(len(pairs))]


def cosine_loss(
    first: torch.Tensor, second: torch.Tensor, same: torch.Tensor, n_items: int
) -> torch.Tensor:
    """Return the squared difference of cosine and target (1: same label, 0: not) over ``n_items``.

    Parameters
    ----------
    first, second : Tensor
        Sentence vectors (n, width) of the two sides.
    same : Tensor
        (n,) of bool.
    n_items : int
        Pairs of all accumulated batches of a step.
    """
    cosine = torch.nn.functional.cosine_similarity(first, second)
    return (cosine - same.to(cosine.dtype)).square().sum() / n_items


def fit_logistic_head(
    vectors: torch.Tensor, labels: torch.Tensor, n_labels: int, *, inverse_penalty: float = 1.0
) -> torch.nn.Linear:
    """Return the linear head of the penalised maximum likelihood.

    Minimises ``inverse_penalty * sum(cross_entropy) + 0.5 * sum(weight ** 2)``, as scikit-learn's
    LogisticRegression does for three labels and more; for two it has one row of weights, and its C
    is twice ``inverse_penalty``. The problem is convex, so there is nothing random.

    Parameters
    ----------
    vectors : Tensor
        Frozen features (n, width).
    labels : Tensor
        (n,) of int.
    n_labels : int
        Labels that the head tells apart.
    inverse_penalty : float
        Larger trusts the rows more.
    """
    features, targets = vectors.detach().double(), labels.long()
    head = torch.nn.Linear(features.shape[1], n_labels, dtype=torch.float64, device=vectors.device)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    optimizer: Any = torch.optim.LBFGS(
        head.parameters(), max_iter=_ITERATIONS, tolerance_grad=1e-9, line_search_fn="strong_wolfe"
    )

    def objective() -> torch.Tensor:
        optimizer.zero_grad()
        total = torch.nn.functional.cross_entropy(head(features), targets, reduction="sum")
        loss = inverse_penalty * total + 0.5 * head.weight.square().sum()
        torch.autograd.backward(loss)
        return loss

    with torch.enable_grad():
        optimizer.step(objective)
    return head.to(vectors.dtype).requires_grad_(requires_grad=False)


def _partners(truth: np.ndarray[Any, Any], row: int) -> list[tuple[bool, np.ndarray[Any, Any]]]:
    others = np.arange(len(truth)) != row
    same = np.flatnonzero((truth == truth[row]) & others)
    return [
        (True, same if len(same) else np.array([row])),
        (False, np.flatnonzero(truth != truth[row])),
    ]
