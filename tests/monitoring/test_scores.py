"""Frozen scores: what they see, what they leave out, and that they depend on one row alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.monitoring.scores import ScoredRows, freeze, score_rows, surprise, trigrams

TEXTS = [f"please send the invoice for order number {i}" for i in range(200)]


def rows(texts, predicted=None, **more):
    return ScoredRows(texts, predicted or ["a"] * len(texts), np.full(len(texts), 0.9), **more)


def test_foreign_texts_surprise_more_than_usual_ones() -> None:
    cost = freeze(TEXTS, None).trigram_cost
    usual, typo, foreign = surprise(
        ["please send the invoice", "plaese sned teh invioce", "wie wird das Wetter morgen"], cost
    )
    assert usual < typo < foreign


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_an_empty_text_has_no_surprise_and_length_zero(text) -> None:
    frozen = freeze(TEXTS, ["a"] * 200)
    found = dict(zip(frozen.names(), score_rows(rows([text]), frozen)[0], strict=True))
    assert np.isnan(found["surprise"])
    assert found["length"] == 0.0
    assert found["uncertainty"] == pytest.approx(0.1)


@given(st.lists(st.text(max_size=12), min_size=1, max_size=6))
def test_a_score_depends_on_its_own_row_alone(texts) -> None:
    frozen = freeze(TEXTS, ["a", "b"] * 100)
    together = score_rows(rows(texts), frozen)
    alone = np.vstack([score_rows(rows([text]), frozen) for text in texts])
    np.testing.assert_allclose(together, alone)


def test_written_answers_have_no_order_of_labels() -> None:
    assert "label" not in freeze(TEXTS, None).names()
    assert "distance" not in freeze(TEXTS, None).names()


def test_unknown_answers_come_last_in_the_order() -> None:
    frozen = freeze(TEXTS, ["b"] * 120 + ["a"] * 80)
    found = score_rows(rows(["x"] * 3, ["b", "a", "new"]), frozen)
    assert found[:, frozen.names().index("label")].tolist() == [0.0, 1.0, 2.0]


def test_distance_is_small_among_the_frozen_embeddings() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((200, 16)) * 0.1 + 1.0
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    frozen = freeze(TEXTS, None, vectors)
    near, far = score_rows(rows(["x", "y"], vectors=np.stack([vectors[0], -vectors[0]])), frozen)[
        :, frozen.names().index("distance")
    ]
    assert near < 0.1
    assert far > 1.9


def test_texts_without_letters_and_without_spaces_are_scored() -> None:
    buckets, owners = trigrams(["你好世界", "🙂🙂", "x", ""])
    assert set(owners.tolist()) == {0, 1, 2}
    assert buckets.min() >= 0
    assert buckets.max() < 1 << 15


def test_no_rows_have_no_scores() -> None:
    frozen = freeze(TEXTS, None)
    assert score_rows(rows([]), frozen).shape == (0, len(frozen.names()))
