"""R-Drop: one forward pass of the doubled batch, and the price of disagreement."""

from __future__ import annotations

import pytest
import torch
from objective_builders import gradients, make_step, tiny_classifier

from pipeline_steps.training.objectives.consistency import RDrop
from pipeline_steps.training.objectives.losses import (
    categorical_divergence,
    smoothed_cross_entropy,
)


def test_without_dropout_it_is_the_clean_loss_and_its_gradient() -> None:
    step = make_step(tiny_classifier())
    loss = RDrop(alpha=5.0)(step)
    assert loss.item() == pytest.approx(step.loss.item(), rel=1e-6)
    pairs = zip(gradients(loss, step.model), gradients(step.loss, step.model), strict=True)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs)


def test_the_value_by_hand() -> None:
    """Half of (NLL_1 + NLL_2 + alpha (KL + KL) / 2), the paper's loss, from the doubled logits."""
    step = make_step(tiny_classifier(dropout=0.5), n_items=8)
    passes = []
    step.model.register_forward_hook(lambda *a: passes.append(a[2].logits.detach()))
    loss = RDrop(alpha=3.0)(step)
    assert len(passes) == 1
    first, second = passes[0][:4], passes[0][4:]
    assert not torch.equal(first, second)
    likelihood = sum(smoothed_cross_entropy(x, step.labels, n_items=8) for x in (first, second))
    divergence = categorical_divergence(first, second, n_items=8) + categorical_divergence(
        second, first, n_items=8
    )
    assert loss.item() == pytest.approx(((likelihood + 3.0 * divergence / 2) / 2).item(), rel=1e-5)


def test_which_pass_comes_first_does_not_matter() -> None:
    first, second = torch.randn(2, 3), torch.randn(2, 3)

    def both(a, b):
        return categorical_divergence(a, b, n_items=1) + categorical_divergence(b, a, n_items=1)

    assert torch.allclose(both(first, second), both(second, first))


def test_disagreement_is_held_down_by_both_passes() -> None:
    step = make_step(tiny_classifier(dropout=0.5))
    loss = RDrop(alpha=1.0)(step)
    assert sum(g.abs().sum() for g in gradients(loss, step.model)) > 0


def test_inputs_that_are_not_by_row_are_left_alone() -> None:
    seen = {}

    class Listening(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(3))

        def forward(self, input_ids, scale):
            seen.update(ids=input_ids, scale=scale)
            from types import SimpleNamespace

            return SimpleNamespace(logits=self.weight.expand(len(input_ids), 3))

    inputs = {"input_ids": torch.arange(4).unsqueeze(1), "scale": torch.tensor(2.0)}
    RDrop()(make_step(Listening(), inputs=inputs))
    assert seen["ids"].flatten().tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert seen["scale"].item() == 2.0
