"""AdaLoRA's ranks: the schedule by hand, the choice as peft's, the state whole."""

from __future__ import annotations

import pytest
import torch
from tuned_models import ROWS, TARGETS, logits, with_head

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.forward import pad
from pipeline_steps.training.tuning.adaptive_rank import (
    AdaptiveRank,
    RankAllocator,
    orthogonality_penalty,
)

SETTINGS = AdaptiveRank(
    initial_rank=4, target_rank=1, alpha=8, warm_share=0.2, final_share=0.3, interval=2
)
N_STEPS = 20


def apply(bases, settings: AdaptiveRank = SETTINGS):
    model, head = with_head(bases["bert"])
    return settings.apply(model, head)


def backward(model, optimizer) -> None:
    optimizer.zero_grad()
    outputs = model(**pad(ROWS, 0)).logits
    torch.nn.functional.cross_entropy(outputs, torch.tensor(TARGETS)).backward()


def optimizer_of(model) -> torch.optim.Optimizer:
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.05)


def run(model, allocator, first: int, last: int, optimizer) -> None:
    for step in range(first, last + 1):
        torch.manual_seed(step)  # dropout
        backward(model, optimizer)
        optimizer.step()
        allocator.update(step, N_STEPS)


def n_values(model) -> int:
    """Return how many singular values are not zero."""
    return sum(int((p != 0).sum()) for name, p in model.named_parameters() if "lora_E" in name)


def test_the_budget_falls_as_a_cubic(bases) -> None:
    """Four matrices from rank 4 to 1: 16 to 4, between steps 4 and 14."""
    allocator = RankAllocator(apply(bases), SETTINGS)
    assert [allocator.budget(step, 20) for step in (1, 4, 14, 20)] == [16, 16, 4, 4]
    assert allocator.budget(9, 20) == int(4 + 12 * 0.5**3) == 5
    budgets = [allocator.budget(step, 20) for step in range(1, 21)]
    assert budgets == sorted(budgets, reverse=True)


def test_ranks_shrink_to_the_target_and_stay(bases) -> None:
    model = apply(bases)
    allocator, optimizer = RankAllocator(model, SETTINGS), optimizer_of(model)
    run(model, allocator, 1, 4, optimizer)
    assert (n_values(model), sum(allocator.ranks().values())) == (16, 16)
    run(model, allocator, 5, 9, optimizer)
    assert sum(allocator.ranks().values()) == allocator.budget(8, N_STEPS) == 6
    run(model, allocator, 10, 20, optimizer)
    assert sum(allocator.ranks().values()) == n_values(model) == 4
    for name, rank in allocator.ranks().items():
        update = model.get_submodule(name).get_delta_weight("default")
        assert int(torch.linalg.matrix_rank(update)) == rank
    trained = logits(model)
    torch.testing.assert_close(logits(SETTINGS.finish(model)), trained, rtol=1e-4, atol=1e-5)


def test_the_choice_is_that_of_peft(bases) -> None:
    """The reference run beside it, on the same weights and gradients."""
    from peft import AdaLoraConfig
    from peft.tuners.adalora import RankAllocator as Reference

    model = apply(bases)
    config = AdaLoraConfig(
        init_r=4, target_r=1, tinit=4, tfinal=6, deltaT=2, total_step=N_STEPS,
        beta1=0.85, beta2=0.85,
    )  # fmt: skip
    reference = Reference(model.base_model.model, config, "default")
    allocator, optimizer = RankAllocator(model, SETTINGS), optimizer_of(model)
    compared = 0
    for step in range(1, 15):
        torch.manual_seed(step)
        backward(model, optimizer)
        optimizer.step()
        before = {n: p.detach().clone() for n, p in model.named_parameters() if "lora_E" in n}
        budget, pattern = reference.update_and_allocate(
            model.base_model.model, step, force_mask=step == 14
        )
        with torch.no_grad():
            for name, p in model.named_parameters():
                p.copy_(before.get(name, p))
        allocator.update(step, N_STEPS)
        assert budget == allocator.budget(step, N_STEPS)
        if pattern:
            compared += 1
            ours = {n: kept for n, kept in allocator.state_dict().items() if "kept/" in n}
            for name, kept in pattern.items():
                module = name.removesuffix(".lora_E.default")
                assert ours[f"kept/base_model.model.{module}"].tolist() == kept
    assert compared == 5


def test_a_resumed_allocation_ends_as_an_undisturbed_one(bases) -> None:
    straight = apply(bases)
    run(straight, RankAllocator(straight, SETTINGS), 1, N_STEPS, optimizer_of(straight))
    for stop in (3, 9, 16):
        first = apply(bases)
        allocator, optimizer = RankAllocator(first, SETTINGS), optimizer_of(first)
        run(first, allocator, 1, stop, optimizer)
        second = apply(bases)
        second.load_state_dict(first.state_dict())
        resumed, continued = RankAllocator(second, SETTINGS), optimizer_of(second)
        resumed.load_state_dict({n: t.clone() for n, t in allocator.state_dict().items()})
        continued.load_state_dict(optimizer.state_dict())
        run(second, resumed, stop + 1, N_STEPS, continued)
        for name, tensor in straight.state_dict().items():
            assert torch.equal(second.state_dict()[name], tensor), (stop, name)


def test_the_state_of_another_model_is_refused(bases) -> None:
    other = RankAllocator(apply(bases, AdaptiveRank(initial_rank=3, target_rank=1)), SETTINGS)
    with pytest.raises(TrainingError, match="a rank allocation that is not of this model"):
        RankAllocator(apply(bases), SETTINGS).load_state_dict(other.state_dict())


def test_ranks_that_would_grow_are_refused(bases) -> None:
    with pytest.raises(TrainingError, match="a target rank of 8 over an initial one of 4"):
        apply(bases, AdaptiveRank(initial_rank=4, target_rank=8))


def test_orthonormal_vectors_cost_nothing(bases) -> None:
    model = apply(bases)
    assert float(orthogonality_penalty(model).detach()) > 1.0
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                torch.nn.init.orthogonal_(parameter)
    assert float(orthogonality_penalty(model).detach()) == pytest.approx(0.0, abs=1e-5)
