"""L2-SP and EWC by hand, and the Fisher information of a model that can be solved."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from objective_builders import Classification, make_step, tiny_classifier, with_lora

from pipeline_steps.errors import TrainingError
from pipeline_steps.training.objectives.penalties import (
    EWC,
    L2SP,
    estimate_fisher,
    starting_weights,
)
from pipeline_steps.training.objectives.step import Step


class Two(torch.nn.Module):
    """Two logits that do not depend on the row."""

    def __init__(self, logits: tuple[float, float] = (0.0, 0.0)) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(torch.tensor(logits))

    def forward(self, input_ids):
        return SimpleNamespace(logits=self.logits.expand(len(input_ids), 2))


def row(model, label: int = 0) -> Step:
    ids = torch.ones(1, 1, dtype=torch.long)
    return Step(model, {"input_ids": ids}, torch.tensor([label]), Classification(), 1)


def test_l2sp_by_hand() -> None:
    """0.1/2 ((1-3)^2 + (2-2)^2) = 0.2; a new weight of 5: 0.01/2 * 25 = 0.125."""
    model = torch.nn.ParameterDict({"old": torch.tensor([1.0, 2.0]), "new": torch.tensor([5.0])})
    penalty = L2SP({"old": torch.tensor([3.0, 2.0])})
    assert penalty(SimpleNamespace(model=model, n_batches=1)).item() == pytest.approx(0.325)
    assert penalty(SimpleNamespace(model=model, n_batches=5)).item() == pytest.approx(0.065)


@pytest.mark.filterwarnings("default")  # the compiler's own
@pytest.mark.parametrize("wrap", [torch.compile, torch.nn.DataParallel], ids=["compiled", "shared"])
def test_a_wrapped_model_is_pulled_back_like_the_plain_one(wrap) -> None:
    """The compiler and several processes give the weights other names."""
    model = tiny_classifier()
    start, fisher = (
        starting_weights(model),
        {n: torch.ones_like(w) for n, w in model.named_parameters()},
    )
    with torch.no_grad():
        model.classifier.weight += 0.5
    for penalty in (L2SP(start), EWC(start, fisher)):
        assert penalty(make_step(wrap(model))).item() == penalty(make_step(model)).item() > 0


def test_l2sp_is_zero_at_the_start_and_pulls_back() -> None:
    model = tiny_classifier()
    penalty = L2SP(starting_weights(model), alpha=1.0)
    assert penalty(make_step(model)).item() == 0.0
    with torch.no_grad():
        model.classifier.weight += 0.5
    penalty(make_step(model)).backward()
    assert torch.allclose(model.classifier.weight.grad, torch.tensor(0.5))


def test_the_starting_weights_are_copies_without_the_head() -> None:
    model = tiny_classifier()
    start = starting_weights(model, new=["classifier.weight", "classifier.bias"])
    assert "classifier.weight" not in start
    name, weight = next(iter(model.named_parameters()))
    before = start[name].clone()
    with torch.no_grad():
        weight += 1.0
    assert torch.equal(start[name], before)


def test_ewc_by_hand() -> None:
    """10/2 (4 * (1-0)^2 + 1 * (2-3)^2) = 25."""
    model = torch.nn.ParameterDict({"w": torch.tensor([1.0, 2.0]), "free": torch.ones(3)})
    penalty = EWC({"w": torch.tensor([0.0, 3.0])}, {"w": torch.tensor([4.0, 1.0])}, weight=10.0)
    assert penalty(SimpleNamespace(model=model, n_batches=1)).item() == pytest.approx(25.0)


def test_the_fisher_information_of_a_coin_by_hand() -> None:
    """The slope by the logits is p - y: with p = 1/2 its square is 1/4 whatever was drawn."""
    model = Two()
    drawn = estimate_fisher([row(model)] * 3, torch.Generator().manual_seed(0))
    assert torch.allclose(drawn["logits"], torch.tensor([0.25, 0.25]))


def test_drawn_labels_give_p_times_q() -> None:
    """E over y of (p - y)^2 = p (1 - p), here 3/4 * 1/4."""
    model = Two((torch.log(torch.tensor(3.0)).item(), 0.0))
    generator = torch.Generator().manual_seed(0)
    fisher = estimate_fisher([row(model) for _ in range(2000)], generator)["logits"]
    assert fisher.tolist() == pytest.approx([3 / 16] * 2, rel=0.1)


def test_given_labels_give_the_empirical_one() -> None:
    """(3/4 - 1)^2 with label 0, (3/4)^2 with label 1."""
    model = Two((torch.log(torch.tensor(3.0)).item(), 0.0))
    assert estimate_fisher([row(model, 0)])["logits"].tolist() == pytest.approx([1 / 16] * 2)
    assert estimate_fisher([row(model, 1)])["logits"].tolist() == pytest.approx([9 / 16] * 2)


def test_the_fisher_information_leaves_the_model_as_it_was() -> None:
    model = tiny_classifier(dropout=0.5)
    step = make_step(model)
    rows = [
        make_step(
            model,
            inputs={name: value[i : i + 1] for name, value in step.inputs.items()},
            labels=step.labels[i : i + 1],
            n_items=1,
        )
        for i in range(2)
    ]
    fisher = estimate_fisher(rows)
    assert model.training
    assert all(weight.grad is None for weight in model.parameters())
    again = estimate_fisher(
        [make_step(model, inputs=r.inputs, labels=r.labels, n_items=1) for r in rows]
    )
    assert all(torch.equal(fisher[name], again[name]) for name in fisher)


def test_it_comes_back_from_its_file(tmp_path) -> None:
    model = tiny_classifier()
    fisher = {name: torch.rand_like(w) for name, w in model.named_parameters()}
    penalty = EWC(starting_weights(model), fisher, weight=3.0)
    with torch.no_grad():
        model.classifier.weight += 0.5
    penalty.save(tmp_path / "ewc.safetensors")
    again = EWC.load(tmp_path / "ewc.safetensors", weight=3.0)
    assert again(make_step(model)).item() == pytest.approx(penalty(make_step(model)).item())


def test_a_file_that_is_none_is_refused(tmp_path) -> None:
    from safetensors.torch import save_file

    with pytest.raises(TrainingError, match="cannot be read"):
        EWC.load(tmp_path / "absent.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    with pytest.raises(TrainingError, match="cannot be read"):
        EWC.load(tmp_path / "torn.safetensors")
    save_file({"anchor/w": torch.ones(1)}, tmp_path / "half.safetensors")
    with pytest.raises(TrainingError, match="1 anchors and 0 Fisher tensors"):
        EWC.load(tmp_path / "half.safetensors")


@pytest.mark.parametrize("make", [L2SP, lambda a: EWC(a, a)], ids=["l2sp", "ewc"])
def test_adapters_are_refused(make) -> None:
    """The weights of before are frozen: the penalty would be a constant, silently."""
    model = tiny_classifier()
    penalty = make(starting_weights(model))
    with pytest.raises(TrainingError, match=r"set finetune\.tuning\.kind to full"):
        penalty(make_step(with_lora(model)))


def test_fisher_needs_single_rows_and_at_least_one() -> None:
    with pytest.raises(TrainingError, match="a batch of 4 rows"):
        estimate_fisher([make_step(tiny_classifier())])
    with pytest.raises(TrainingError, match="no rows"):
        estimate_fisher([])
