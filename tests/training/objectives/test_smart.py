"""SMART: a symmetric divergence under small moves that reads no label."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from objective_builders import (
    Classification,
    bag_step,
    gradients,
    make_step,
    tiny_classifier,
    with_lora,
)

from pipeline_steps.training.objectives.losses import categorical_divergence
from pipeline_steps.training.objectives.perturbation import token_mask
from pipeline_steps.training.objectives.smart import SMART


def seeded(**settings) -> SMART:
    return SMART(generator=torch.Generator().manual_seed(0), **settings)


def test_the_value_by_hand() -> None:
    """On a linear model one step moves the larger coordinate of each token by its full size."""
    step = bag_step()
    attack = seeded(epsilon=0.1, step_size=0.1).attack(step)
    assert attack.abs().amax(-1)[step.mask > 0].tolist() == pytest.approx([0.1] * 3, rel=1e-3)
    clean, moved = step.outputs, step.forward(step.embeddings() + attack)
    there = categorical_divergence(moved.logits, clean.logits, n_items=2)
    back = categorical_divergence(clean.logits, moved.logits, n_items=2)
    found = seeded(epsilon=0.1, step_size=0.1, weight=5.0)(step)
    assert found.item() == pytest.approx(5 * (there + back).item(), rel=1e-5)


def test_without_room_there_is_nothing_to_hold_down() -> None:
    assert SMART(epsilon=0.0)(make_step(tiny_classifier())).item() == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize("steps", [1, 4])
def test_the_attack_stays_in_the_box_and_off_the_padding(steps) -> None:
    step = make_step(tiny_classifier())
    attack = SMART(epsilon=0.01, step_size=0.02, steps=steps).attack(step)
    assert attack.abs().max() <= 0.01
    assert (attack * (1 - token_mask(step)) == 0).all()


def test_uphill_disturbs_more_than_noise_of_the_same_size() -> None:
    step = make_step(tiny_classifier())
    noise = 0.01 * torch.sign(torch.randn(step.embeddings().shape)) * token_mask(step)
    moved = step.forward(step.embeddings() + noise)
    random = Classification().divergence(moved, step.outputs, step.labels, step.n_items)
    assert seeded(epsilon=0.01, step_size=0.01)(step) / 2 > random


def test_labels_do_not_matter() -> None:
    one = make_step(tiny_classifier())
    other = dataclasses.replace(one, labels=torch.tensor([2, 2, 1, 1]))
    assert seeded()(one).item() == seeded()(other).item()


def test_gradients_flow_into_both_passes() -> None:
    step = make_step(tiny_classifier())
    objective = seeded(epsilon=0.5, step_size=0.5)
    loss = objective(step)
    (clean,) = torch.autograd.grad(loss, step.outputs.logits, retain_graph=True)
    assert clean.abs().sum() > 0
    assert sum(g.abs().sum() for g in gradients(loss, step.model)) > 0


def test_it_touches_no_grad() -> None:
    step = make_step(with_lora(tiny_classifier()))
    seeded()(step)
    assert all(weight.grad is None for weight in step.model.parameters())


def test_a_move_of_the_default_size_is_seen_in_bf16() -> None:
    step, again = make_step(tiny_classifier()), make_step(tiny_classifier())
    expected = seeded(epsilon=0.01, step_size=0.01)(step).item()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = seeded(epsilon=0.01, step_size=0.01)(again).item()
    assert found == pytest.approx(expected, rel=0.5)
