"""The batch planner: every row once, the budget held, the same order for seed and epoch."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.inference.batching import bucket_length, length_sorted_batches
from pipeline_steps.training.batching import BatchPlanner

lengths_lists = st.lists(st.integers(1, 60), min_size=1, max_size=80)


@given(lengths_lists, st.integers(8, 200), st.integers(0, 5), st.integers(0, 3))
def test_every_row_comes_once_an_epoch_within_the_budget(lengths, budget, seed, epoch) -> None:
    planner = BatchPlanner(lengths, budget, seed)
    planner.set_epoch(epoch)
    batches = list(planner)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert len(batches) == len(planner)
    for batch in batches:
        longest = max(bucket_length(lengths[row]) for row in batch)
        assert longest * len(batch) <= budget or len(batch) == 1


@given(lengths_lists, st.integers(8, 200))
def test_prediction_batches_hold_every_row_once(lengths, budget) -> None:
    batches = length_sorted_batches(lengths, budget)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))


def test_seed_and_epoch_decide_the_order() -> None:
    lengths = np.random.default_rng(0).integers(3, 40, 300).tolist()
    planner, same = BatchPlanner(lengths, 256, 1), BatchPlanner(lengths, 256, 1)
    first = list(planner)
    assert list(same) == first == list(planner)
    planner.set_epoch(1)
    assert list(planner) != first
    assert list(BatchPlanner(lengths, 256, 2)) != first


def test_almost_nothing_is_padding_on_lengths_like_real_ones() -> None:
    lengths = (3 + np.random.default_rng(0).gamma(2.5, 5.3, 5000)).astype(int).tolist()
    assert BatchPlanner(lengths, 1024, 0).padding_efficiency(lengths) >= 0.95
