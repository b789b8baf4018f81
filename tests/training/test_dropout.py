"""Dropout by lanes: the probability, the scale, the same as torch's where nothing is dropped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_models import TARGETS, save_tiny_model

from pipeline_steps.inference.learners.text_classification import TextClassificationLearner
from pipeline_steps.training import dropout
from pipeline_steps.training.dropout import (
    LaneDropout,
    keep_mask,
    lane_attention,
    use_lane_dropout,
    use_torch_attention,
)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_each_lane_drops_its_share_and_the_others_are_scaled(p: float, dtype) -> None:
    torch.manual_seed(0)
    mask = keep_mask(torch.empty(401, 999, dtype=dtype), p)
    assert mask.dtype == dtype
    assert set(mask.unique().tolist()) == {0.0, float(torch.tensor(1 / (1 - p)).to(dtype))}
    dropped = (mask.flatten()[:400_000] == 0).double().view(-1, 4)
    assert torch.allclose(dropped.mean(dim=0), torch.tensor(p).double(), atol=0.005)
    correlation = torch.corrcoef(dropped.T) - torch.eye(4)
    assert float(correlation.abs().max()) < 0.015


def test_the_generator_of_torch_decides_the_mask() -> None:
    values = torch.ones(7, 3)
    layer = LaneDropout(0.5).train()
    torch.manual_seed(1)
    first = layer(values)
    assert not torch.equal(layer(values), first)
    torch.manual_seed(1)
    assert torch.equal(layer(values), first)
    assert torch.equal(layer.eval()(values), values)


def test_what_was_dropped_gets_no_gradient() -> None:
    values = torch.ones(50, requires_grad=True)
    output = LaneDropout(0.5)(values)
    output.sum().backward()
    assert torch.equal(values.grad, output.detach())


def test_attention_is_that_of_torch(monkeypatch) -> None:
    """With a mask that drops nothing, over padded keys."""
    monkeypatch.setattr(dropout, "keep_mask", lambda like, p: torch.ones_like(like))
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 4, 5, 8).unbind(0)
    mask = torch.ones(2, 1, 5, 5, dtype=torch.bool)
    mask[1, :, :, 3:] = False
    for allowed in (None, mask):
        expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, allowed)
        output, _ = lane_attention(torch.nn.Module(), query, key, value, allowed, dropout=0.1)
        assert torch.allclose(output, expected.transpose(1, 2), atol=1e-6)


def test_causal_attention_is_left_to_torch(monkeypatch) -> None:
    monkeypatch.setattr(dropout, "_torch_attention", lambda *args, **kwargs: "torch")
    tensors = torch.randn(3, 2, 4, 5, 8).unbind(0)
    module = torch.nn.Module()
    assert lane_attention(module, *tensors, None, dropout=0.1, is_causal=True) == "torch"
    assert lane_attention(module, *tensors, None, dropout=0.0) == "torch"


@pytest.mark.parametrize("architecture", sorted(TARGETS))
def test_a_model_that_does_not_train_answers_as_before(architecture: str, tmp_path: Path) -> None:
    model, _ = TextClassificationLearner().build(
        save_tiny_model(tmp_path / "base", architecture), ["a", "b"]
    )
    model.eval()
    inputs = {
        "input_ids": torch.tensor([[2, 5, 3], [2, 3, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1], [1, 1, 0]]),
    }
    before, implementation = model(**inputs).logits, model.config._attn_implementation
    use_lane_dropout(model)
    assert torch.allclose(model(**inputs).logits, before, atol=1e-6)
    use_torch_attention(model)
    assert model.config._attn_implementation == implementation
