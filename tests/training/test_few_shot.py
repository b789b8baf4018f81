"""Pairs, sentence vectors and the logistic head of few-shot learning."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from tiny_models import save_tiny_model
from transformers import AutoModel

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.forward import pad
from pipeline_steps.training.few_shot import (
    contrastive_pairs,
    cosine_loss,
    fit_logistic_head,
    sentence_vectors,
)

labels_of_two_kinds = st.lists(st.integers(0, 3), min_size=2, max_size=20).filter(
    lambda labels: len(set(labels)) > 1
)


@given(labels_of_two_kinds, st.integers(1, 4), st.integers(0, 3))
def test_pairs_are_balanced_and_tell_the_truth(labels, n_iterations, seed) -> None:
    pairs = contrastive_pairs(labels, n_iterations, seed)
    assert pairs == contrastive_pairs(labels, n_iterations, seed)
    assert len(pairs) == 2 * n_iterations * len(labels)
    assert sum(pair.same for pair in pairs) == n_iterations * len(labels)
    assert set(Counter(pair.first for pair in pairs).values()) == {2 * n_iterations}
    sizes = Counter(labels)
    for pair in pairs:
        assert pair.same == (labels[pair.first] == labels[pair.second])
        alone = sizes[labels[pair.first]] == 1
        assert (pair.first != pair.second) or (pair.same and alone)


def test_another_seed_gives_other_pairs() -> None:
    labels = [0, 1] * 10
    assert contrastive_pairs(labels, 2, 0) != contrastive_pairs(labels, 2, 1)


def test_one_label_alone_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"3 rows of 1 label"):
        contrastive_pairs([1, 1, 1], 2, 0)


def test_the_mean_leaves_padding_out() -> None:
    hidden = torch.tensor([[[1.0, 0.0], [3.0, 4.0], [99.0, 99.0]]])
    assert sentence_vectors(hidden, torch.tensor([[1, 1, 0]])).tolist() == [[2.0, 2.0]]


def test_the_loss_by_hand() -> None:
    """Cosines 1, 0 and -1 against same, not same, same, over two batches of three pairs."""
    first = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    second = torch.tensor([[2.0, 0.0], [0.0, 5.0], [-1.0, 0.0]])
    same = torch.tensor([True, False, True])
    assert float(cosine_loss(first, second, same, n_items=6)) == pytest.approx(4 / 6)


@pytest.mark.parametrize("n_labels", [2, 3])
@pytest.mark.parametrize("inverse_penalty", [0.1, 10.0])
def test_the_head_is_that_of_scikit_learn(n_labels, inverse_penalty) -> None:
    """With two labels it has one row of weights; two rows of half of it are penalised half as
    much, hence the doubled C."""
    generator = np.random.default_rng(0)
    labels = np.arange(60) % n_labels
    vectors = generator.normal(size=(60, 4)) + labels[:, None]
    head = fit_logistic_head(
        torch.tensor(vectors), torch.tensor(labels), n_labels, inverse_penalty=inverse_penalty
    )
    ours = torch.softmax(head(torch.tensor(vectors)), dim=1).numpy()
    factor = 2.0 if n_labels == 2 else 1.0
    reference = LogisticRegression(C=inverse_penalty * factor, tol=1e-10, max_iter=10_000)
    np.testing.assert_allclose(
        ours, reference.fit(vectors, labels).predict_proba(vectors), atol=1e-5
    )


def test_the_head_is_linear_frozen_and_of_the_vectors_type() -> None:
    vectors = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    head = fit_logistic_head(vectors, torch.arange(8) % 3, 5)
    assert head.weight.shape == (5, 4)
    assert head.weight.dtype == torch.float32
    assert not head.weight.requires_grad


def test_an_encoder_learns_to_tell_labels_apart(tmp_path) -> None:
    """From four texts of each label, over the pairs, to a head that is right on unseen texts."""
    good, bad = 20, 21
    model = AutoModel.from_pretrained(save_tiny_model(tmp_path / "base"), dtype=torch.float32)
    generator = np.random.default_rng(0)
    rows, labels = [], []
    for index in range(40):
        words = generator.integers(5, 19, 4).tolist()
        rows.append([2, *words, (bad, good)[index % 2], 3])
        labels.append(index % 2)

    def vectors(indices) -> torch.Tensor:
        inputs = pad([rows[index] for index in indices], 0)
        return sentence_vectors(model(**inputs).last_hidden_state, inputs["attention_mask"])

    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    torch.manual_seed(0)
    pairs = contrastive_pairs(labels[:8], 20, 0)
    model.train()
    for start in range(0, len(pairs), 16):
        batch = pairs[start : start + 16]
        optimizer.zero_grad()
        same = torch.tensor([pair.same for pair in batch])
        sides = vectors([p.first for p in batch]), vectors([p.second for p in batch])
        cosine_loss(*sides, same, len(batch)).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        seen, unseen = vectors(range(8)), vectors(range(8, 40))
    head = fit_logistic_head(seen, torch.tensor(labels[:8]), 2)
    accuracy = (head(unseen).argmax(1) == torch.tensor(labels[8:])).float().mean()
    assert float(accuracy) >= 0.9
