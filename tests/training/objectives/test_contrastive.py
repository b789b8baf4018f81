"""Supervised contrastive loss by hand, and which vector stands for a text."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from objective_builders import gradients, make_step, tiny_classifier
from transformers import AutoModelForSequenceClassification, GPT2Config

from pipeline_steps.errors import TrainingError
from pipeline_steps.training.objectives.contrastive import (
    SupervisedContrastive,
    contrastive_loss,
    pooled,
    representation,
)


def by_numpy(vectors: np.ndarray, labels: list[int], temperature: float) -> float:
    """Return the sum over rows, as equation 2 of Khosla et al. 2020 reads."""
    z = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    total = 0.0
    for i, label in enumerate(labels):
        others = [a for a in range(len(z)) if a != i]
        positives = [p for p in others if labels[p] == label]
        denominator = sum(math.exp(z[i] @ z[a] / temperature) for a in others)
        for p in positives:
            total -= math.log(math.exp(z[i] @ z[p] / temperature) / denominator) / len(positives)
    return total


@pytest.mark.parametrize("temperature", [0.1, 0.3, 1.0])
def test_the_loss_is_that_of_the_equation(temperature) -> None:
    vectors = torch.randn(7, 4, generator=torch.Generator().manual_seed(0))
    labels = [0, 0, 0, 1, 1, 2, 3]
    found = contrastive_loss(vectors, torch.tensor(labels), temperature=temperature, n_items=7)
    expected = by_numpy(vectors.numpy().astype(float), labels, temperature) / 7
    assert found.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("labels", [[0, 1, 2], [0]])
def test_rows_without_a_positive_contribute_nothing(labels) -> None:
    vectors = torch.randn(len(labels), 4, requires_grad=True)
    loss = contrastive_loss(vectors, torch.tensor(labels), temperature=0.3, n_items=3)
    loss.backward()
    assert loss.item() == 0.0
    assert (vectors.grad == 0).all()


def test_like_near_like_costs_less() -> None:
    near = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    labels = torch.tensor([0, 0, 1, 1])
    good = contrastive_loss(near, labels, temperature=0.3, n_items=4)
    bad = contrastive_loss(near[[0, 2, 1, 3]], labels, temperature=0.3, n_items=4)
    assert good < bad


def test_the_order_of_rows_does_not_matter() -> None:
    vectors, order = torch.randn(5, 3), [3, 1, 4, 0, 2]
    labels = torch.tensor([0, 1, 0, 1, 1])
    one = contrastive_loss(vectors, labels, temperature=0.3, n_items=5)
    other = contrastive_loss(vectors[order], labels[order], temperature=0.3, n_items=5)
    assert torch.allclose(one, other)


def test_the_mixture_is_weighted() -> None:
    step = make_step(tiny_classifier(), keeps_hidden_states=True)
    first = step.outputs.hidden_states[-1][:, 0]
    contrast = contrastive_loss(first, step.labels, temperature=0.3, n_items=4)
    found = SupervisedContrastive(weight=0.9)(step)
    assert torch.allclose(found, 0.1 * step.loss + 0.9 * contrast)
    assert torch.allclose(SupervisedContrastive(weight=0.0)(step), step.loss)
    assert sum(g.abs().sum() for g in gradients(found, step.model)) > 0


def test_without_hidden_states_it_says_how_to_get_them() -> None:
    with pytest.raises(TrainingError, match="kept no hidden states"):
        SupervisedContrastive()(make_step(tiny_classifier()))


def test_labels_by_token_are_refused() -> None:
    step = make_step(tiny_classifier(), labels=torch.zeros(4, 6, dtype=torch.long))
    with pytest.raises(TrainingError, match="one label for each text"):
        SupervisedContrastive()(step)


def test_a_decoder_is_read_at_its_last_token() -> None:
    configuration = GPT2Config(vocab_size=64, n_embd=16, n_layer=1, n_head=2, n_positions=16,
                               pad_token_id=0, bos_token_id=2, eos_token_id=3)  # fmt: skip
    model = AutoModelForSequenceClassification.from_config(configuration)
    step = make_step(model, keeps_hidden_states=True)
    last = step.outputs.hidden_states[-1][[0, 1, 2, 3], [5, 3, 2, 4]]
    assert torch.equal(representation(step), last)


def test_an_encoder_is_read_at_its_first_token() -> None:
    step = make_step(tiny_classifier("modernbert"), keeps_hidden_states=True)
    assert torch.equal(representation(step), step.outputs.hidden_states[-1][:, 0])


@pytest.mark.parametrize(("how", "expected"), [("first", 3.0), ("last", 4.0), ("mean", 3.5)])
def test_padding_on_the_left_is_not_read(how, expected) -> None:
    states = torch.tensor([[[9.0], [9.0], [3.0], [4.0]]])
    assert pooled(states, torch.tensor([[0, 0, 1, 1]]), how).item() == expected
