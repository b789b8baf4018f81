"""How many rows two evaluation sets share, from sketches of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.registry.row_sketch import SIZE, shared_rows, sketch_rows

FEW = st.sets(st.text(max_size=6), max_size=60)


def rows(start: int, end: int) -> list[str]:
    return [f"row {number}" for number in range(start, end)]


@given(today=FEW, earlier=FEW)
def test_of_small_sets_the_share_is_exact(today: set[str], earlier: set[str]) -> None:
    share = shared_rows(sketch_rows(today), sketch_rows(earlier))
    assert share == pytest.approx(len(today & earlier) / len(today) if today else 0.0)


@given(start=st.integers(0, 3_000), n=st.integers(SIZE + 1, 3_000))
def test_of_large_sets_the_share_is_near(start: int, n: int) -> None:
    today, earlier = rows(start, start + n), rows(0, 3_000)
    true = max(0, min(start + n, 3_000) - start) / n
    error = 0.5 / SIZE**0.5 * (3_000 / n) ** 0.5
    found = shared_rows(sketch_rows(today), sketch_rows(earlier))
    assert abs(found - true) <= 6.0 * error


@given(n=st.integers(1, 3_000), more=st.integers(0, 50))
def test_rows_added_hide_no_row_and_a_part_is_all_old(n: int, more: int) -> None:
    old, new = sketch_rows(rows(0, n)), sketch_rows(rows(0, n + more))
    assert shared_rows(old, new) == 1.0
    assert shared_rows(new, old) >= 1.0 - 3.0 * more / (n + more) - 6.0 / SIZE**0.5 * (more > 0)


def test_order_and_repeats_do_not_make_another_set() -> None:
    assert sketch_rows(rows(0, 900)) == sketch_rows([*reversed(rows(0, 900)), "row 3"])


def test_what_a_sketch_cannot_tell_counts_as_the_same_rows() -> None:
    few, many = sketch_rows(rows(0, 2)), sketch_rows(rows(10, 200_000))
    assert few.smallest[0] > many.smallest[-1]
    assert shared_rows(few, many) == 1.0
