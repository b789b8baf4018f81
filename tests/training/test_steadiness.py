"""What is kept of an average that was never begun."""

from __future__ import annotations

import torch

from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.reporting.training_facts import training_facts
from pipeline_steps.training.steadiness import Attempt, Steadiness


def steady(model: torch.nn.Module, **averaging: object) -> Steadiness:
    params = FinetuneParams.model_validate({"averaging": averaging or None})
    return Steadiness(params, model, Attempt(), torch.device("cpu"))


def test_weights_that_were_kept_before_the_first_average_are_said_to_be_no_average(caplog) -> None:
    model = torch.nn.Linear(2, 2)
    found = steady(model, kind="swa", start_fraction=0.9)
    found.keep_validated_weights(None)
    assert "no average was taken before the best evaluation" in caplog.text
    assert dict(training_facts(found.described())) == {
        "averaged weights": "none: the best evaluation came before the first average"
    }


def test_an_average_and_none_that_was_asked_for_are_no_news(caplog) -> None:
    model = torch.nn.Linear(2, 2)
    averaged, plain = steady(model, kind="swa"), steady(model)
    averaged.averager.step(model.named_parameters())
    for found in (averaged, plain):
        found.keep_validated_weights(None)
        assert "unaveraged" not in found.described()
    assert not caplog.text
