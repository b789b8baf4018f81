"""Digests of what a model made of a row: alike for like states, the same whatever the batch."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import save_tiny_model
from transformers import AutoModel

from pipeline_steps.inference.embedding_digests import (
    BITS,
    EmbeddingDigests,
    bits_apart,
    digests_of,
    mean_states,
)
from pipeline_steps.inference.forward import pad

ROWS = [[2, 7, 8, 9, 3], [2, 5, 3], [2, 11, 6, 3]]


@given(st.floats(0.0, math.pi), st.integers(0, 2**32 - 1))
def test_the_share_of_bits_that_differ_is_the_angle_over_pi(angle: float, seed: int) -> None:
    one, other = np.linalg.qr(np.random.default_rng(seed).standard_normal((64, 2)))[0].T
    turned = math.cos(angle) * one + math.sin(angle) * other
    share = bits_apart(*digests_of(np.stack([one, turned]))) / BITS
    assert abs(share - angle / math.pi) < 5.5 * 0.5 / math.sqrt(BITS)


def test_the_length_of_a_vector_changes_no_bit() -> None:
    vector = np.random.default_rng(0).standard_normal((1, 64))
    assert digests_of(vector) == digests_of(3.0 * vector)


def test_the_mean_leaves_padding_out() -> None:
    states = torch.arange(12.0).reshape(1, 3, 4)
    mean = mean_states(states, torch.tensor([[1, 1, 0]]))
    np.testing.assert_array_equal(mean, states[:, :2].mean(dim=1).numpy())


@pytest.fixture
def model(tmp_path: Path) -> torch.nn.Module:
    save_tiny_model(tmp_path)
    return AutoModel.from_pretrained(tmp_path).eval()


def test_rows_have_their_digests_whatever_they_were_batched_with(model: torch.nn.Module) -> None:
    digests = EmbeddingDigests(model)
    with torch.inference_mode():
        model(**pad([ROWS[2], ROWS[0]], pad_id=0))
        model(**pad([ROWS[1]], pad_id=0))
        together = digests.take(ROWS)
        alone = []
        for row in ROWS:
            states = model(torch.tensor([row])).last_hidden_state[0].mean(dim=0)
            alone.extend(digests_of(states.numpy()[None]))
    assert all(digest is not None and len(digest) == BITS // 4 for digest in together)
    # Padding changes the last digits of a state, and so at most a sign that hung on them.
    assert all(bits_apart(*pair) <= 1 for pair in zip(together, alone, strict=True))
    assert len(set(together)) == len(ROWS)


def test_what_was_taken_or_never_read_has_no_digest(model: torch.nn.Module) -> None:
    digests = EmbeddingDigests(model)
    with torch.inference_mode():
        model(**pad(ROWS[:1], pad_id=0))
    assert digests.take([ROWS[1], None]) == [None, None]
    assert digests.take(ROWS[:1]) == [None]


def test_a_model_without_hidden_states_has_no_digests() -> None:
    linear = torch.nn.Linear(3, 2)
    digests = EmbeddingDigests(linear)
    linear(torch.zeros(1, 3))
    assert digests.take(ROWS[:1]) == [None]
