"""FreeLB: the mean over points of an ascent, gradients handed on, one dropout mask."""

from __future__ import annotations

import pytest
import torch
from objective_builders import (
    bag_of_embeddings,
    bag_step,
    gradients,
    make_step,
    tiny_classifier,
    with_lora,
)

from pipeline_steps.training.objectives.freelb import FreeLB

UPHILL = torch.tensor([-0.6, 0.8])


def loss_at(step, lengths: tuple[float, float]) -> torch.Tensor:
    """Return the loss of the bag with its two rows moved uphill by some lengths."""
    first = lengths[0] / 2**0.5 * UPHILL
    delta = torch.stack(
        [torch.stack([first, first]), torch.stack([lengths[1] * UPHILL, torch.zeros(2)])]
    )
    return step.loss_of(step.forward(step.embeddings() + delta))


def test_the_loss_is_the_mean_along_the_way_by_hand() -> None:
    """From 0 in steps of 0.2 within a ball of 0.3: at 0, 0.2 and 0.3."""
    step = bag_step()
    expected = sum(loss_at(step, (r, r)) for r in (0.0, 0.2, 0.3)) / 3
    found = FreeLB(step_size=0.2, initial_magnitude=0.0, epsilon=0.3, steps=3)(step)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_gradient_is_the_mean_along_the_way() -> None:
    """What is handed on is what differentiating the mean of the three losses would give."""
    step = bag_step()
    expected = sum(loss_at(step, (r, r)) for r in (0.0, 0.2, 0.3)) / 3
    found = FreeLB(step_size=0.2, initial_magnitude=0.0, epsilon=0.3, steps=3)(step)
    pairs = zip(gradients(found, step.model), gradients(expected, step.model), strict=True)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs)


def test_the_gradient_follows_the_scale_of_the_loss() -> None:
    """A trainer may multiply the loss before it differentiates."""
    step = bag_step()
    objective = FreeLB(initial_magnitude=0.0)
    pairs = zip(
        gradients(3.0 * objective(step), step.model), gradients(objective(step), step.model),
        strict=True,
    )  # fmt: skip
    assert all(torch.allclose(a, 3.0 * b) for a, b in pairs)


def test_one_point_without_noise_is_the_clean_loss() -> None:
    step = make_step(tiny_classifier())
    objective = FreeLB(steps=1, initial_magnitude=0.0)
    assert torch.allclose(objective(step), step.loss)
    pairs = zip(
        gradients(objective(step), step.model), gradients(step.loss, step.model), strict=True
    )
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs)


def test_no_length_is_the_clean_loss() -> None:
    step = make_step(tiny_classifier())
    found = FreeLB(step_size=0.0, initial_magnitude=0.0)(step)
    assert torch.allclose(found, step.loss)


def test_all_points_have_one_dropout_mask() -> None:
    """Without a step the three passes are the same pass, dropout included."""
    passes = []
    step = make_step(tiny_classifier(dropout=0.5))
    step.model.register_forward_hook(lambda *a: passes.append(a[2].logits.detach()))
    FreeLB(step_size=0.0, initial_magnitude=0.0)(step)
    assert torch.equal(passes[0], passes[1])
    assert torch.equal(passes[0], passes[2])
    FreeLB(step_size=0.0, initial_magnitude=0.0)(step)
    assert not torch.equal(passes[0], passes[3])


def test_more_steps_raise_the_loss() -> None:
    step = make_step(tiny_classifier())
    losses = [
        FreeLB(step_size=0.05, initial_magnitude=0.0, steps=steps)(step).item()
        for steps in (1, 2, 4)
    ]
    assert losses == sorted(losses)
    assert losses[0] < losses[-1]


def test_it_touches_no_grad_until_it_is_differentiated() -> None:
    model = tiny_classifier()
    loss = FreeLB()(make_step(model))
    assert all(weight.grad is None for weight in model.parameters())
    loss.backward()
    assert any(weight.grad is not None for weight in model.parameters())


def test_adapters_learn_from_it() -> None:
    model = with_lora(tiny_classifier())
    loss = FreeLB()(make_step(model))
    assert any(g.abs().sum() > 0 for g in gradients(loss, model))


def test_it_works_under_bf16_autocast() -> None:
    step = make_step(tiny_classifier())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = FreeLB()(step)
    assert loss.dtype == torch.float32
    assert all(torch.isfinite(g).all() for g in gradients(loss, step.model))


def test_padding_stays_also_where_the_model_would_read_it() -> None:
    step = bag_step(bag_of_embeddings(careless=True))
    moved = []
    forward = step.forward

    def watched(embeddings: torch.Tensor):
        moved.append(embeddings.detach())
        return forward(embeddings)

    step.forward = watched
    FreeLB(initial_magnitude=1.0)(step)
    clean = step.embeddings().detach()
    assert len(moved) == 3
    assert all(torch.equal(points[1, 1], clean[1, 1]) for points in moved)
    assert not any(torch.equal(points[1, 0], clean[1, 0]) for points in moved)


def test_the_start_is_a_function_of_the_seed() -> None:
    def loss(seed: int) -> float:
        generator = torch.Generator().manual_seed(seed)
        return FreeLB(initial_magnitude=2.0, generator=generator)(
            make_step(tiny_classifier())
        ).item()

    assert loss(1) == loss(1)
    assert loss(1) != loss(2)
