"""Losses and class weights against torch and numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.learners.losses import cross_entropy_sum
from pipeline_steps.training.objectives.losses import (
    balanced_weights,
    categorical_divergence,
    effective_number_weights,
    focal_loss,
    smoothed_cross_entropy,
)

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0], [0.0, 1.0, 0.0]])
LABELS = torch.tensor([0, 1, 2])


def test_without_smoothing_it_is_the_loss_of_a_learner() -> None:
    found = smoothed_cross_entropy(LOGITS, LABELS, n_items=3)
    assert torch.equal(found, cross_entropy_sum(LOGITS, LABELS) / 3)


def test_smoothing_by_hand() -> None:
    """Logits 0 and log 3 are probabilities 1/4 and 3/4; the target is 0.9 and 0.1."""
    logits = torch.tensor([[0.0, float(np.log(3.0))]])
    found = smoothed_cross_entropy(logits, torch.tensor([0]), n_items=1, label_smoothing=0.2)
    assert found.item() == pytest.approx(0.9 * np.log(4) + 0.1 * np.log(4 / 3))


def test_weighted_cross_entropy_is_divided_by_items_not_by_weights() -> None:
    weights = torch.tensor([2.0, 1.0, 0.5])
    rows = functional.cross_entropy(LOGITS, LABELS, reduction="none")
    found = smoothed_cross_entropy(LOGITS, LABELS, n_items=6, class_weights=weights)
    assert found.item() == pytest.approx((rows * weights[LABELS]).sum().item() / 6)


@pytest.mark.parametrize("loss", [smoothed_cross_entropy, focal_loss])
def test_ignored_tokens_do_not_count(loss) -> None:
    tokens = torch.stack([LOGITS, LOGITS + 1.0])  # (2 rows, 3 tokens, 3 classes)
    labels = torch.tensor([[0, 1, -100], [-100, -100, 2]])
    kept = torch.stack([LOGITS[0], LOGITS[1], LOGITS[2] + 1.0])
    assert torch.allclose(
        loss(tokens, labels, n_items=3), loss(kept, torch.tensor([0, 1, 2]), n_items=3)
    )


@pytest.mark.parametrize("loss", [smoothed_cross_entropy, focal_loss])
def test_parts_of_a_step_add_up_to_the_whole(loss) -> None:
    parts = loss(LOGITS[:1], LABELS[:1], n_items=3) + loss(LOGITS[1:], LABELS[1:], n_items=3)
    assert torch.allclose(parts, loss(LOGITS, LABELS, n_items=3))


def test_focal_loss_at_gamma_zero_is_cross_entropy() -> None:
    assert torch.allclose(
        focal_loss(LOGITS, LABELS, n_items=3, gamma=0.0),
        smoothed_cross_entropy(LOGITS, LABELS, n_items=3),
    )


def test_focal_loss_by_hand() -> None:
    """p = 3/4: 2 * (1/4)^2 * -log(3/4)."""
    logits = torch.tensor([[0.0, float(np.log(3.0))]])
    weights = torch.tensor([1.0, 2.0])
    found = focal_loss(logits, torch.tensor([1]), n_items=1, class_weights=weights)
    assert found.item() == pytest.approx(2 / 16 * np.log(4 / 3))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_of_a_sure_row_has_a_finite_gradient(gamma) -> None:
    logits = torch.tensor([[200.0, 0.0]], requires_grad=True)
    focal_loss(logits, torch.tensor([0]), n_items=1, gamma=gamma).backward()
    assert torch.isfinite(logits.grad).all()


def test_bf16_logits_are_summed_in_fp32() -> None:
    assert smoothed_cross_entropy(LOGITS.bfloat16(), LABELS, n_items=3).dtype == torch.float32


def test_divergence_is_that_of_torch() -> None:
    other = LOGITS.flip(0)
    expected = functional.kl_div(LOGITS.log_softmax(-1), other.softmax(-1), reduction="sum")
    assert torch.allclose(categorical_divergence(LOGITS, other, n_items=1), expected)


def test_divergence_of_the_same_is_zero_and_else_positive() -> None:
    assert categorical_divergence(LOGITS, LOGITS, n_items=1).item() == 0.0
    assert categorical_divergence(LOGITS, LOGITS.flip(0), n_items=1).item() > 0


def test_divergence_from_a_target_without_mass_has_a_finite_gradient() -> None:
    target = torch.tensor([[0.0, -torch.inf]], requires_grad=True)
    logits = torch.zeros(1, 2, requires_grad=True)
    categorical_divergence(logits, target, n_items=1).backward()
    assert torch.isfinite(logits.grad).all()
    assert torch.isfinite(target.grad).all()


def test_balanced_weights_are_those_of_sklearn() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.repeat([0, 1, 2], [5, 2, 1])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert balanced_weights([5, 2, 1]).tolist() == pytest.approx(expected.tolist())


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=6), st.floats(0.0, 0.9999))
def test_the_mean_weight_of_a_row_is_one(counts, beta) -> None:
    for weights in (balanced_weights(counts), effective_number_weights(counts, beta)):
        mean = float((weights.double() * torch.tensor(counts)).sum() / sum(counts))
        assert mean == pytest.approx(1.0, rel=1e-5)


def test_effective_number_goes_from_none_to_balanced() -> None:
    assert effective_number_weights([5, 2], beta=0.0).tolist() == pytest.approx([1.0, 1.0])
    nearly = effective_number_weights([5, 2], beta=0.999999)
    assert nearly.tolist() == pytest.approx(balanced_weights([5, 2]).tolist(), rel=1e-4)


@pytest.mark.parametrize("counts", [[], [3, 0]])
def test_a_class_without_rows_is_refused(counts) -> None:
    with pytest.raises(TrainingError, match="training rows of each class"):
        balanced_weights(counts)
