"""Learning rates by layer, weight decay by kind, optimizers by name."""

from __future__ import annotations

import pytest
import torch
from tuned_models import ARCHITECTURES, METHODS, learning, with_head

from pipeline_steps.errors import TrainingError
from pipeline_steps.training.tuning.rates import (
    Rates,
    build_optimizer,
    layer_depths,
    parameter_groups,
)
from pipeline_steps.training.tuning.selection import TopLayers

OPTIMIZERS = ("adamw", "sgd", "adafactor", "radam", "nadam")


def settings_of(model, head, rates: Rates) -> dict[str, tuple[float, float]]:
    """Return rate and weight decay of each parameter that learns."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in parameter_groups(model.named_parameters(), head, rates)
        for parameter in group["params"]
    }


def test_rates_fall_from_layer_to_layer_by_hand(bases) -> None:
    """Two layers, rate 1, factor 1/2: 1 and 1/2, embeddings 1/4; the pooler counts to the top."""
    model, head = with_head(bases["bert"])
    found = settings_of(model, head, Rates(1.0, 8.0, layer_decay=0.5, weight_decay=0.1))
    layer = "bert.encoder.layer"
    assert found["classifier.weight"] == (8.0, 0.1)
    assert found["classifier.bias"] == (8.0, 0.0)
    assert found["bert.pooler.dense.weight"] == (1.0, 0.1)
    assert found[f"{layer}.1.attention.self.query.weight"] == (1.0, 0.1)
    assert found[f"{layer}.1.attention.self.query.bias"] == (1.0, 0.0)
    assert found[f"{layer}.0.output.dense.weight"] == (0.5, 0.1)
    assert found[f"{layer}.0.output.LayerNorm.weight"] == (0.5, 0.0)
    assert found["bert.embeddings.word_embeddings.weight"] == (0.25, 0.1)
    assert found["bert.embeddings.LayerNorm.bias"] == (0.25, 0.0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_is_read_from_its_names(architecture, bases) -> None:
    model, head = with_head(bases[architecture])
    depths = layer_depths([name for name, _ in model.named_parameters()], head)
    for name, depth in depths.items():
        assert (depth == -1) == (name in head), name
        if ".0." in name and ".1." not in name:
            assert depth == 1, name
        elif "embed" in name or name.endswith(("wte.weight", "wpe.weight", "shared.weight")):
            assert depth == 2, name
    assert set(depths.values()) == {-1, 0, 1, 2}


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_learning_parameter_is_in_one_group(method, bases) -> None:
    model, head = with_head(bases["bert"])
    tuned = METHODS[method].apply(model, head)
    groups = parameter_groups(tuned.named_parameters(), head, Rates(1.0, 2.0, layer_decay=0.5))
    members = [id(parameter) for group in groups for parameter in group["params"]]
    wanted = {id(p) for name, p in tuned.named_parameters() if name in learning(tuned)}
    assert len(members) == len(set(members))
    assert set(members) == wanted
    of_head = [p for group in groups if group["lr"] == 2.0 for p in group["params"]]
    assert len(of_head) == len(head)


def test_frozen_layers_leave_the_rates_of_the_others_alone(bases) -> None:
    model, head = with_head(bases["bert"])
    rates = Rates(1.0, 8.0, layer_decay=0.5)
    everywhere = settings_of(model, head, rates)
    TopLayers(1).apply(model, head)
    top = settings_of(model, head, rates)
    assert top == {name: everywhere[name] for name in learning(model)}


def test_without_decay_of_rates_body_and_head_remain(bases) -> None:
    """The four groups that the trainer had before."""
    model, head = with_head(bases["bert"])
    found = settings_of(model, head, Rates(1.0, 8.0, weight_decay=0.1))
    assert set(found.values()) == {(1.0, 0.1), (1.0, 0.0), (8.0, 0.1), (8.0, 0.0)}


def test_factors_that_start_at_one_do_not_decay(bases) -> None:
    model, head = with_head(bases["bert"])
    tuned = METHODS["ia3"].apply(model, head)
    found = settings_of(tuned, head, Rates(1.0, 8.0, weight_decay=0.1))
    factors = [setting for name, setting in found.items() if "ia3_l" in name]
    assert set(factors) == {(1.0, 0.0)}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_downhill(name) -> None:
    weight = torch.nn.Parameter(torch.tensor([[3.0, -2.0]]))
    optimizer = build_optimizer(name, [{"params": [weight], "lr": 0.05, "weight_decay": 0.0}])
    for _ in range(60):
        optimizer.zero_grad()
        weight.square().sum().backward()
        optimizer.step()
    assert float(weight.detach().square().sum()) < 13.0 / 2


@pytest.mark.parametrize("name", ["adamw", "radam", "nadam", "sgd", "adafactor"])
def test_weight_decay_shrinks_weights_without_gradients(name) -> None:
    """By rate times decay where it is decoupled, as it is from a gradient of zero in SGD."""
    weight = torch.nn.Parameter(torch.ones(2, 2))
    optimizer = build_optimizer(name, [{"params": [weight], "lr": 0.1, "weight_decay": 0.5}])
    weight.grad = torch.zeros_like(weight)
    optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.full((2, 2), 0.95))


def test_an_unknown_optimizer_is_refused() -> None:
    weight = torch.nn.Parameter(torch.ones(1))
    with pytest.raises(TrainingError, match=r"finetune\.optimizer is lion[\s\S]*adafactor"):
        build_optimizer("lion", [{"params": [weight], "lr": 1.0, "weight_decay": 0.0}])
