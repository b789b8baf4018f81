"""Masks: how many, what becomes of them, whole words, and the same again after a resume."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.training.objectives.masking import Masking

MASKING = Masking(mask_id=4, special_ids=frozenset({0, 1, 2, 3, 4}), vocabulary_size=100)
ROWS = st.lists(st.integers(5, 99), max_size=40).map(lambda ids: [2, *ids, 3])


@given(ROWS, st.integers(0, 99))
def test_labels_are_the_tokens_that_were_there(ids, seed) -> None:
    inputs, labels = MASKING.masked(ids, (seed,))
    asked = [position for position, label in enumerate(labels) if label != -100]
    assert all(labels[p] == ids[p] for p in asked)
    assert all(inputs[p] == ids[p] for p in range(len(ids)) if p not in asked)
    n = len(ids) - 2
    assert len(asked) == (max(1, round(0.15 * n)) if n else 0)
    assert not {0, len(ids) - 1} & set(asked)


def test_of_ten_eight_are_hidden_one_replaced_one_left() -> None:
    ids = [2, *([50] * 10_000), 3]
    inputs, labels = (np.array(x) for x in MASKING.masked(ids, (0,)))
    asked = inputs[labels != -100]
    assert len(asked) == 1500
    assert (asked == 4).mean() == pytest.approx(0.8, abs=0.03)
    assert (asked == 50).mean() == pytest.approx(0.1, abs=0.02)
    replaced = asked[(asked != 4) & (asked != 50)]
    assert len(replaced) / 1500 == pytest.approx(0.1, abs=0.02)
    assert replaced.min() >= 5
    assert replaced.max() <= 99
    assert len(set(replaced.tolist())) > 50


def test_every_position_has_its_chance() -> None:
    ids = [2, *range(5, 25), 3]
    counts = np.zeros(22)
    for seed in range(2000):
        counts += np.array(MASKING.masked(ids, (seed,))[1]) != -100
    assert counts[1:-1] / 2000 == pytest.approx([0.15] * 20, abs=0.04)


def test_whole_words_are_asked_whole() -> None:
    words = [None, 0, 0, 0, 1, 2, 2, 3, 4, 4, None]
    masking = Masking(4, MASKING.special_ids, 100, share=0.4, whole_words=True)
    ids = [2, *range(10, 19), 3]
    for seed in range(50):
        _, labels = masking.masked(ids, (seed,), words)
        asked = {word for word, label in zip(words, labels, strict=True) if label != -100}
        told = sum(label != -100 for label in labels)
        assert told == sum(word in asked for word in words)
        assert None not in asked
        assert 1 <= told <= 4


def test_a_word_longer_than_the_share_is_asked_all_the_same() -> None:
    masking = Masking(4, MASKING.special_ids, 100, whole_words=True)
    _, labels = masking.masked([2, 10, 11, 12, 3], (0,), [None, 0, 0, 0, None])
    assert labels == [-100, 10, 11, 12, -100]


def test_a_token_outside_every_word_is_one_of_its_own() -> None:
    masking = Masking(4, MASKING.special_ids, 100, share=0.01, whole_words=True)
    for seed in range(20):
        _, labels = masking.masked([10, 11, 12], (seed,), [None, None, None])
        assert sum(label != -100 for label in labels) == 1


def test_it_is_a_function_of_the_seed_alone() -> None:
    ids = [2, *range(5, 65), 3]
    assert MASKING.masked(ids, (0, 1, 7)) == MASKING.masked(ids, (0, 1, 7))
    others = [(1, 1, 7), (0, 2, 7), (0, 1, 8)]
    assert all(MASKING.masked(ids, (0, 1, 7)) != MASKING.masked(ids, other) for other in others)
