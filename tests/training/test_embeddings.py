"""A split embedding answers as the whole one, learns as it does, and is joined again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_models import TARGETS, save_tiny_model

from pipeline_steps.inference.learners.text_classification import TextClassificationLearner
from pipeline_steps.training.embeddings import SplitEmbedding, join_embeddings, split_embeddings

IDS = torch.tensor([[2, 5, 3], [2, 7, 0]])
USED = {0, 2, 3, 5, 7}


def step(model: torch.nn.Module, parameters: list[torch.nn.Parameter]) -> None:
    """One AdamW step without weight decay on a loss that moves every weight."""
    optimizer = torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.0)
    model(input_ids=IDS).logits.square().sum().backward()
    optimizer.step()


def word_vectors(model) -> torch.Tensor:
    return model.get_input_embeddings().weight.detach()


@pytest.mark.parametrize("architecture", sorted(TARGETS))
def test_a_step_changes_the_same_weights_to_the_same_values(
    architecture: str, tmp_path: Path
) -> None:
    base = save_tiny_model(tmp_path / "base", architecture)
    plain, split = (
        (torch.manual_seed(0), TextClassificationLearner().build(base, ["a", "b"])[0].eval())[1]
        for _ in "12"
    )
    before = word_vectors(plain).clone()
    split_embeddings(split, IDS.tolist(), 0)
    assert torch.equal(plain(input_ids=IDS).logits, split(input_ids=IDS).logits)
    for model in (plain, split):
        model.get_input_embeddings().train()
        step(model, [p for p in model.parameters() if p.requires_grad])
    join_embeddings(split)
    assert torch.allclose(word_vectors(plain), word_vectors(split), atol=1e-6)
    unused = [row for row in range(len(before)) if row not in USED]
    assert torch.equal(word_vectors(split)[unused], before[unused])
    assert not torch.equal(word_vectors(split), before)
    assert set(plain.state_dict()) == set(split.state_dict())


def test_only_used_rows_are_trained_and_unused_ones_are_still_read() -> None:
    whole = torch.nn.Embedding(10, 4, padding_idx=0)
    split = SplitEmbedding(whole, torch.tensor([0, 3, 4]))
    assert sum(p.numel() for p in split.parameters()) == 3 * 4
    every = torch.arange(10)
    assert torch.equal(split.eval()(every), whole(every))
    with pytest.raises(IndexError):
        split.train()(torch.tensor([9]))


def test_padding_gets_no_gradient() -> None:
    split = SplitEmbedding(torch.nn.Embedding(10, 4, padding_idx=1), torch.tensor([1, 3]))
    split(torch.tensor([1, 3])).sum().backward()
    assert split.trained.grad.tolist() == [[0.0] * 4, [1.0] * 4]
