"""What a model reads is counted: calls, tokens, padding."""

from __future__ import annotations

import pytest
import torch
from tiny_models import configurations
from transformers import AutoModelForSequenceClassification

from pipeline_steps.inference.forward import logits_in_order, pad
from pipeline_steps.inference.meter import ForwardMeter


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_config(configurations()["bert"]).eval()


def test_tokens_and_padding_are_those_of_the_batches(model: torch.nn.Module) -> None:
    meter = ForwardMeter(model)
    rows = [[1, 5, 2], [1, 5, 6, 7, 2], [1, 2]]
    logits_in_order(model, rows, 0, 1_000)
    assert meter.counts() == {"n_forwards": 1, "n_tokens": 10, "n_padding": 5}
    logits_in_order(model, rows[:1], 0, 1_000)
    assert meter.counts() == {"n_forwards": 2, "n_tokens": 13, "n_padding": 5}


def test_a_meter_counts_from_when_it_is_made(model: torch.nn.Module) -> None:
    meter = ForwardMeter(model)
    assert meter.counts() == {"n_forwards": 0, "n_tokens": 0, "n_padding": 0}


def test_a_call_without_a_mask_has_no_padding(model: torch.nn.Module) -> None:
    meter = ForwardMeter(model)
    with torch.inference_mode():
        model(pad([[1, 5, 2]], 0)["input_ids"])
    assert meter.counts() == {"n_forwards": 1, "n_tokens": 3, "n_padding": 0}


def test_a_peft_model_is_counted_once_a_call(model: torch.nn.Module) -> None:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    plain = AutoModelForSequenceClassification.from_config(configurations()["bert"]).eval()
    tuned = get_peft_model(plain, LoraConfig(task_type="SEQ_CLS", target_modules=["query"]))
    meter = ForwardMeter(tuned.eval())
    logits_in_order(tuned, [[1, 5, 2]], 0, 100)
    assert meter.counts()["n_forwards"] == 1
