"""A base without a pooler gets one with its head, and every tuning teaches it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import save_tiny_model
from tuned_models import METHODS, train, with_head

from pipeline_steps.errors import CheckpointError

POOLER = {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}


def without(base: Path, part: str) -> Path:
    """Return the base after tensors whose names hold ``part`` were taken out of its file."""
    file = base / "model.safetensors"
    kept = {name: tensor for name, tensor in load_file(file).items() if part not in name}
    save_file(kept, file, metadata={"format": "pt"})
    return base


@pytest.mark.parametrize("method", METHODS)
def test_a_new_pooler_learns_whatever_the_tuning(method: str, tmp_path: Path) -> None:
    model, head = with_head(without(save_tiny_model(tmp_path), "pooler"))
    assert set(head) >= POOLER
    tuned = METHODS[method].apply(model, head)
    pooler = next(
        parameter
        for name, parameter in tuned.named_parameters()
        if "pooler" in name and name.endswith("weight") and parameter.requires_grad
    )
    before = pooler.detach().clone()
    train(tuned, n_steps=1)
    assert not torch.equal(pooler, before)


def test_a_new_pooler_is_drawn_by_the_seed(tmp_path: Path) -> None:
    base = without(save_tiny_model(tmp_path), "pooler")
    first, second = (with_head(base)[0].bert.pooler.dense.weight for _ in range(2))
    assert torch.equal(first, second)


def test_a_pooler_that_the_base_has_is_no_part_of_the_head(tmp_path: Path) -> None:
    model, head = with_head(save_tiny_model(tmp_path))
    assert not POOLER & set(head)
    stored = load_file(tmp_path / "model.safetensors")["pooler.dense.weight"]
    assert torch.equal(model.bert.pooler.dense.weight, stored)


def test_other_weights_that_are_missing_are_not_made_up(tmp_path: Path) -> None:
    base = without(save_tiny_model(tmp_path), "encoder.layer.1.output.dense")
    with pytest.raises(CheckpointError, match=r"lacks 2 weights[\s\S]*they would be random"):
        with_head(base)
