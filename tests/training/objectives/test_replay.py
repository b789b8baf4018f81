"""Replay: equal turns for all earlier rows, equal counts in all epochs, by seed alone."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.training.objectives.replay import replay_count, replay_rows

STRATA = st.lists(st.integers(0, 3), min_size=1, max_size=30)


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.1, 11), (0.5, 100)])
def test_the_count_makes_up_the_share(share, count) -> None:
    assert replay_count(100, share) == count


@given(STRATA, st.integers(0, 60), st.integers(0, 5))
def test_every_epoch_has_the_same_number_of_each_stratum(strata, count, seed) -> None:
    """The batch planner cuts by length: its number of batches must not change."""
    shapes = [
        Counter(np.asarray(strata)[replay_rows(strata, count, seed=seed, epoch=epoch)].tolist())
        for epoch in range(3)
    ]
    assert shapes[0] == shapes[1] == shapes[2]
    assert sum(shapes[0].values()) == count


@given(STRATA, st.integers(1, 60), st.integers(0, 5))
def test_within_a_stratum_turns_differ_by_one_at_most(strata, count, seed) -> None:
    seen = Counter(dict.fromkeys(range(len(strata)), 0))
    for epoch in range(4):
        seen.update(replay_rows(strata, count, seed=seed, epoch=epoch))
    for stratum in set(strata):
        turns = [seen[row] for row in range(len(strata)) if strata[row] == stratum]
        assert max(turns) - min(turns) <= 1


def test_strata_share_in_proportion() -> None:
    rows = replay_rows([0] * 80 + [1] * 20, 10, seed=0, epoch=0)
    assert sum(row < 80 for row in rows) == 8


def test_it_is_a_function_of_seed_and_epoch() -> None:
    strata = [0] * 50
    one = replay_rows(strata, 10, seed=1, epoch=3)
    assert one == replay_rows(strata, 10, seed=1, epoch=3)
    assert one != replay_rows(strata, 10, seed=2, epoch=3)
    assert one != replay_rows(strata, 10, seed=1, epoch=4)


def test_without_earlier_rows_there_is_nothing_to_replay() -> None:
    assert replay_rows([], 10, seed=0, epoch=0) == []
