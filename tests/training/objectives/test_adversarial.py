"""FGM and PGD: directions by hand, the ball, padding, adapters, and what they leave alone."""

from __future__ import annotations

import pytest
import torch
from objective_builders import (
    ARCHITECTURES,
    bag_of_embeddings,
    bag_step,
    gradients,
    make_step,
    tiny_classifier,
    with_lora,
)

from pipeline_steps.training.objectives.adversarial import FGM, PGD
from pipeline_steps.training.objectives.perturbation import (
    onto_ball,
    row_norms,
    token_mask,
    uniform_noise,
    unit_rows,
)

UPHILL = torch.tensor([-0.6, 0.8])


def test_fgm_moves_each_token_by_hand() -> None:
    """Over two tokens the direction has norm sqrt 2, so each moves 0.5 / sqrt 2; padding stays."""
    step = bag_step()
    far, near = 0.5 / 2**0.5 * UPHILL, 0.5 * UPHILL
    moved = step.embeddings() + torch.stack(
        [torch.stack([far, far]), torch.stack([near, torch.zeros(2)])]
    )
    expected = step.loss_of(step.forward(moved))
    assert torch.allclose(FGM(epsilon=0.5)(step), expected)


@pytest.mark.parametrize("keeps", [False, True])
def test_fgm_takes_the_same_direction_from_the_clean_pass(keeps) -> None:
    step = make_step(tiny_classifier(), keeps_embeddings=keeps)
    assert FGM()(step).item() == pytest.approx(FGM()(make_step(tiny_classifier())).item())


def test_pgd_walks_by_hand() -> None:
    """On a linear model the direction stays: after three steps of 0.1 along it, 0.3."""
    attack = PGD(epsilon=1.0, step_size=0.1, steps=3).attack(bag_step())
    assert torch.allclose(attack[1, 0], 0.3 * UPHILL, atol=1e-6)
    assert torch.allclose(attack[0, 0], 0.3 / 2**0.5 * UPHILL, atol=1e-6)


def test_pgd_of_one_step_is_fgm() -> None:
    step = make_step(tiny_classifier())
    expected = FGM(epsilon=0.3)(step)
    assert torch.allclose(PGD(epsilon=1.0, step_size=0.3, steps=1)(step), expected)


@pytest.mark.parametrize("objective", [FGM(epsilon=0.0), PGD(epsilon=0.0, initial_magnitude=1.0)])
def test_a_ball_of_radius_zero_gives_the_clean_loss(objective) -> None:
    step = make_step(tiny_classifier())
    assert torch.allclose(objective(step), step.loss)


@pytest.mark.parametrize("steps", [0, 1, 5, 20])
def test_pgd_never_leaves_the_ball(steps) -> None:
    objective = PGD(epsilon=0.2, step_size=0.15, steps=steps, initial_magnitude=9.0)
    assert row_norms(objective.attack(make_step(tiny_classifier()))).max() <= 0.2 * (1 + 1e-6)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_attack_raises_the_loss(architecture) -> None:
    step = make_step(tiny_classifier(architecture))
    one, three = FGM(epsilon=0.05)(step), PGD(epsilon=0.3, step_size=0.05)(step)
    assert step.loss < one < three


def test_padding_stays_where_it_is() -> None:
    step = make_step(tiny_classifier())
    attack = PGD(initial_magnitude=0.5).attack(step)
    assert (attack * (1 - token_mask(step)) == 0).all()
    assert (attack.abs().sum(dim=-1) > 0).equal(step.mask > 0)


def test_padding_stays_also_where_the_model_would_read_it() -> None:
    """Attention masks hide padding from most models, so that its slope is 0 anyway; not from all."""
    attack = PGD().attack(bag_step(bag_of_embeddings(careless=True)))
    assert (attack[1, 1] == 0).all()
    assert row_norms(attack).min() > 0


def test_what_is_padded_does_not_change_the_attack() -> None:
    """Rows of another length in the batch leave a row's perturbation as it is."""
    step = make_step(tiny_classifier())
    alone = make_step(
        step.model,
        inputs={name: value[1:2, :4] for name, value in step.inputs.items()},
        labels=step.labels[1:2],
        n_items=1,
    )
    assert torch.allclose(PGD().attack(step)[1:2, :4], PGD().attack(alone), atol=1e-5)


def test_the_weight_scales_the_part() -> None:
    step = make_step(tiny_classifier())
    assert torch.allclose(FGM(weight=0.5)(step), 0.5 * FGM()(step))


@pytest.mark.parametrize("objective", [FGM(), PGD()])
def test_the_attack_touches_no_grad(objective) -> None:
    model = tiny_classifier()
    for weight in model.parameters():
        weight.grad = torch.full_like(weight, 7.0)
    objective(make_step(model))
    assert all((weight.grad == 7.0).all() for weight in model.parameters())


@pytest.mark.parametrize("objective", [FGM(), PGD()])
@pytest.mark.parametrize("keeps", [False, True])
def test_adapters_learn_from_it_though_embeddings_are_frozen(objective, keeps) -> None:
    model = with_lora(tiny_classifier())
    step = make_step(model, keeps_embeddings=keeps)
    loss = objective(step)
    assert loss > step.loss
    assert any(g.abs().sum() > 0 for g in gradients(loss, model))


def test_the_embeddings_learn_from_the_perturbed_batch() -> None:
    model = tiny_classifier()
    FGM()(make_step(model)).backward()
    assert model.get_input_embeddings().weight.grad.abs().sum() > 0


@pytest.mark.parametrize("objective", [FGM(), PGD(initial_magnitude=0.1)])
def test_it_works_under_bf16_autocast(objective) -> None:
    step = make_step(tiny_classifier())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = objective(step)
        clean = step.loss
    assert loss.dtype == torch.float32
    assert loss > clean
    assert all(torch.isfinite(g).all() for g in gradients(loss, step.model))


def test_the_start_is_a_function_of_the_seed() -> None:
    def attack(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return PGD(initial_magnitude=1.0, generator=generator).attack(make_step(tiny_classifier()))

    assert torch.equal(attack(1), attack(1))
    assert not torch.equal(attack(1), attack(2))


def test_by_default_the_start_follows_torch_s_own_state() -> None:
    """That state is in the trainer's checkpoints: a resumed run draws what it would have drawn."""
    objective, step = PGD(initial_magnitude=1.0), make_step(tiny_classifier())
    state = torch.get_rng_state()
    first = objective.attack(step)
    torch.set_rng_state(state)
    assert torch.equal(objective.attack(step), first)


def test_noise_has_the_same_size_for_short_and_long_rows() -> None:
    """Uniform on (-1, 1) has variance 1/3: norms are near 2 / sqrt 3 whatever the length."""
    like = torch.zeros(2, 2000, 8)
    mask = torch.ones(2, 2000, 1)
    mask[1, 500:] = 0.0
    noise = uniform_noise(like, mask, 2.0, torch.Generator().manual_seed(0))
    assert row_norms(noise).flatten().tolist() == pytest.approx([2 / 3**0.5] * 2, rel=0.03)
    assert (noise[1, 500:] == 0).all()


def test_a_row_without_gradient_is_not_moved() -> None:
    assert (unit_rows(torch.zeros(1, 2, 2)) == 0).all()
    assert (onto_ball(torch.zeros(1, 2, 2), 1.0) == 0).all()


def test_a_tiny_gradient_still_has_a_direction() -> None:
    """Norms are of squares, and rows that are almost right have slopes of 1e-12."""
    assert row_norms(unit_rows(torch.full((1, 2, 2), 1e-15))).item() == pytest.approx(1.0)
