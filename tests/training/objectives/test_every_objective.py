"""Every objective on every architecture: a finite loss and a gradient that reaches the body."""

from __future__ import annotations

import pytest
import torch
from objective_builders import (
    ARCHITECTURES,
    gradients,
    make_step,
    tiny_classifier,
    with_lora,
)

from pipeline_steps.training.objectives.adversarial import FGM, PGD
from pipeline_steps.training.objectives.combined import total_loss
from pipeline_steps.training.objectives.consistency import RDrop
from pipeline_steps.training.objectives.contrastive import SupervisedContrastive
from pipeline_steps.training.objectives.distillation import Distillation, HiddenDistillation
from pipeline_steps.training.objectives.freelb import FreeLB
from pipeline_steps.training.objectives.lwf import LwF
from pipeline_steps.training.objectives.penalties import EWC, L2SP
from pipeline_steps.training.objectives.smart import SMART
from pipeline_steps.training.objectives.teachers import LiveTeacher

TEACHER = LiveTeacher(tiny_classifier("bert", seed=9), keeps_hidden_states=True)


def away(model) -> dict[str, torch.Tensor]:
    """Return weights that the model is not at."""
    return {name: w.detach() + 0.1 for name, w in model.named_parameters()}


MAKERS = {
    "fgm": lambda _: FGM(),
    "pgd": lambda _: PGD(),
    "freelb": lambda _: FreeLB(),
    "smart": lambda _: SMART(epsilon=0.1, step_size=0.1),
    "rdrop": lambda _: RDrop(),
    "contrastive": lambda _: SupervisedContrastive(),
    "distillation": lambda _: Distillation(weight=1.0, teachers=(TEACHER,)),
    "hidden": lambda _: HiddenDistillation(TEACHER, ((0, 0), (2, 2))),
    "lwf": lambda _: LwF(old_model=TEACHER),
    "l2sp": lambda model: L2SP(away(model)),
    "ewc": lambda model: EWC(away(model), away(model)),
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", MAKERS)
def test_the_loss_is_finite_and_reaches_the_body(name, architecture) -> None:
    model = tiny_classifier(architecture, dropout=0.1)
    found = total_loss(make_step(model), [MAKERS[name](model)])
    slopes = gradients(found.total, model)
    assert torch.isfinite(found.total)
    assert all(torch.isfinite(slope).all() for slope in slopes)
    assert model.get_input_embeddings().weight.requires_grad
    reached = dict(zip((n for n, _ in model.named_parameters()), slopes, strict=True))
    body = [slope for n, slope in reached.items() if "embed" in n and "norm" not in n.lower()]
    assert any(slope.abs().sum() > 0 for slope in body)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", [n for n in MAKERS if n not in ("l2sp", "ewc")])
def test_it_reaches_adapters_below_frozen_embeddings(name, architecture) -> None:
    model = with_lora(tiny_classifier(architecture, dropout=0.1), architecture)
    # As if already trained a little: B starts at 0, and with it the slope by A.
    for parameter_name, weight in model.named_parameters():
        if "lora_B" in parameter_name:
            torch.nn.init.normal_(weight, std=0.1)
    found = total_loss(make_step(model), [MAKERS[name](model)])
    assert torch.isfinite(found.total)
    assert all(slope.abs().sum() > 0 for slope in gradients(found.total, model))
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize("name", MAKERS)
def test_it_is_a_function_of_the_seed(name) -> None:
    def value() -> float:
        model = tiny_classifier(dropout=0.1)
        torch.manual_seed(3)
        return total_loss(make_step(model), [MAKERS[name](model)]).total.item()

    assert value() == value()
