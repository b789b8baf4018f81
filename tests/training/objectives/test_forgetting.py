"""Forgetting and transfer on matrices small enough to work out."""

from __future__ import annotations

import pytest

from pipeline_steps.errors import TrainingError
from pipeline_steps.training.objectives.forgetting import (
    backward_transfer_score,
    forgetting_by_dataset,
    forgetting_loss,
    forward_transfer_score,
)

SCORES = [[0.9, 0.2, 0.3], [0.95, 0.8, 0.4], [0.7, 0.85, 0.9]]


def test_forgetting_is_from_the_best_not_from_the_own_score() -> None:
    """0.95 - 0.7 of the first; the second gained 0.05: (0.25 - 0.05) / 2."""
    assert forgetting_by_dataset(SCORES) == pytest.approx((0.25, -0.05))
    assert forgetting_loss(SCORES) == pytest.approx(0.10)


def test_backward_transfer_is_from_the_own_score() -> None:
    """(0.7 - 0.9 + 0.85 - 0.8) / 2."""
    assert backward_transfer_score(SCORES) == pytest.approx(-0.075)


def test_forward_transfer_is_before_the_own_training() -> None:
    """(0.2 - 0.1 + 0.4 - 0.1) / 2."""
    assert forward_transfer_score(SCORES, untrained=[0.1, 0.1, 0.1]) == pytest.approx(0.2)


def test_a_model_that_keeps_everything_forgets_nothing() -> None:
    assert forgetting_loss([[0.5, 0.0], [0.5, 0.7]]) == 0.0
    assert backward_transfer_score([[0.5, 0.0], [0.5, 0.7]]) == 0.0


@pytest.mark.parametrize("scores", [[[0.5]], [[0.5, 0.4]], [0.5, 0.4]])
def test_what_is_no_square_is_refused(scores) -> None:
    with pytest.raises(TrainingError, match="expected: a square matrix of at least two"):
        forgetting_loss(scores)
