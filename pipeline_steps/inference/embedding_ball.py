"""Rows that break when their word vectors are moved within a ball, as gradients find (white box).

No text stands at the points that are found: it is a bound on what small moves of the vectors can
do, not an attack on texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from pipeline_steps.inference.batching import length_sorted_batches
from pipeline_steps.inference.forward import pad
from pipeline_steps.inference.moved_vectors import moved_vectors

if TYPE_CHECKING:
    from pipeline_steps.inference.predictor import Predictor

_REACH = 2.5  # all steps together, in radii: enough to get from anywhere in the ball to its edge
_LEAST = 1e-30

Scores = Callable[[torch.Tensor], torch.Tensor]
"""Logits (n, n_labels) at moved word vectors, from the moves (n, length, width)."""


@dataclass(frozen=True)
class Ball:
    """Moves of the word vectors of one row.

    ``radius`` bounds in ``l2`` the length of all moves of a row as one vector, in ``linf`` each
    number of them, in units of the embeddings.
    """

    norm: Literal["l2", "linf"]
    radius: float
    steps: int


def smallest_breaking(
    predictor: Predictor,
    texts: Sequence[str],
    pairs: Sequence[str | None] | None,
    truths: Sequence[str],
    balls: Sequence[Ball],
) -> list[float | None]:
    """Return for each row the radius of the first ball that breaks it; 0: broken where it stands.

    ``None``: no ball did. A ball holds the smaller ones, so what one breaks the greater ones do.
    """
    token_ids = predictor.encode(texts, pairs).token_ids
    found: list[float | None] = [None] * len(texts)
    for batch in length_sorted_batches([len(ids) for ids in token_ids], predictor.batch_tokens):
        truth = [_place(predictor, truths[row]) for row in batch]
        rows = _Rows(predictor, [token_ids[row] for row in batch], truth)
        for ball in (Ball("l2", 0.0, 0), *balls):
            broken = rows.broken(ball).tolist()
            for row, fell in zip(batch, broken, strict=True):
                if fell and found[row] is None:
                    found[row] = ball.radius
    return found


def broken_within(
    scores: Scores, shape: tuple[int, int, int], free: torch.Tensor, truth: torch.Tensor, ball: Ball
) -> torch.Tensor:
    """Return which rows a point of the ball breaks, (n,): by steps uphill, projected into it.

    Parameters
    ----------
    scores : callable
        Logits at moved word vectors.
    shape : tuple of int
        Of the moves: rows, tokens, numbers of a vector.
    free : Tensor
        Which tokens may move, (n, length): padding and special tokens stay.
    truth : Tensor
        The right label of each row, (n,); -1: the model has no such label.
    ball : Ball
        How far, in which norm, in how many steps.

    Notes
    -----
    Projected gradient descent (Madry et al. 2018, ICLR), from the row itself and so without any
    randomness, on the margin between the best other label and the right one (Carlini and Wagner
    2017), whose gradient does not vanish where the model is sure.
    """
    moves = torch.zeros(shape, device=free.device)
    broken = torch.zeros(shape[0], dtype=torch.bool, device=free.device)
    length = _REACH * ball.radius / max(ball.steps, 1)
    for step in range(ball.steps + 1):
        with torch.enable_grad():
            at = moves.detach().requires_grad_()
            margins = _margins(scores(at).float(), truth)
            broken |= margins.detach() >= 0
            if step == ball.steps:
                break
            (gradient,) = torch.autograd.grad(margins.sum(), at)
        uphill = _direction(gradient.float() * free[..., None], ball.norm)
        moves = _projected(moves + length * uphill, ball)
    return broken


class _Rows:
    """Rows of one batch, whose word vectors are moved."""

    def __init__(
        self, predictor: Predictor, token_ids: Sequence[Sequence[int]], truth: Sequence[int]
    ) -> None:
        self.model: Any = predictor.model
        self.table: Any = self.model.get_input_embeddings()  # type: ignore[operator]
        device = self.table.weight.device
        inputs = pad(token_ids, int(predictor.tokenizer.pad_token_id))
        self.inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
        special = torch.tensor(sorted(predictor.tokenizer.all_special_ids), device=device)
        ids, mask = self.inputs["input_ids"], self.inputs["attention_mask"]
        self.free = mask.bool() & ~torch.isin(ids, special)
        self.truth = torch.tensor(truth, device=device)

    def broken(self, ball: Ball) -> torch.Tensor:
        """Return which rows a point of the ball breaks."""
        shape = (*self.free.shape, self.table.weight.shape[1])
        return broken_within(self._scores, shape, self.free, self.truth, ball)

    def _scores(self, moves: torch.Tensor) -> torch.Tensor:
        with moved_vectors(self.model, moves):
            logits: torch.Tensor = self.model(**self.inputs).logits
        return logits


def _place(predictor: Predictor, truth: str) -> int:
    return predictor.labels.index(truth) if truth in predictor.labels else -1


def _margins(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the best other label's logit minus the right one's; infinite where there is none."""
    columns = torch.arange(logits.shape[1], device=logits.device)
    right = columns == truth[:, None]
    others = logits.masked_fill(right, -torch.inf).amax(dim=1)
    own = (logits * right).sum(dim=1)
    margins: torch.Tensor = torch.where(truth >= 0, others - own, torch.inf)
    return margins


def _direction(gradient: torch.Tensor, norm: str) -> torch.Tensor:
    if norm == "linf":
        return gradient.sign()
    lengths: torch.Tensor = gradient.flatten(1).norm(dim=1)
    return gradient / lengths.clamp_min(_LEAST)[:, None, None]


def _projected(moves: torch.Tensor, ball: Ball) -> torch.Tensor:
    """Return the nearest moves within the ball."""
    if ball.norm == "linf":
        return moves.clamp(-ball.radius, ball.radius)
    lengths: torch.Tensor = moves.flatten(1).norm(dim=1)
    return moves * (ball.radius / lengths.clamp_min(_LEAST)).clamp_max(1.0)[:, None, None]
