"""Rows set aside are written whole, in order, whatever their number; selective quarantine is seen."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline_steps.data_preparation.quarantine import QUARANTINE_SCHEMA, Quarantine
from pipeline_steps.data_preparation.selective import selective_values


@pytest.mark.parametrize("n", [0, 1, 45_000])
def test_every_row_set_aside_is_written_in_order(tmp_path: Path, n: int) -> None:
    quarantine = Quarantine()
    for number in range(n):
        quarantine.add("odd" if number % 2 else "even", example_id=f"r{number}", line=number)
    quarantine.write(tmp_path / "aside")
    table = pq.read_table(tmp_path / "aside/rows.parquet")
    assert table.schema == QUARANTINE_SCHEMA
    assert table["line"].to_pylist() == list(range(n))
    assert quarantine.n_rows == n == sum(quarantine.counts.values())


def test_a_difference_below_the_minimum_excess_is_let_through() -> None:
    counts = {"a": 10_000, "b": 10_000}, {"a": 1_000, "b": 200}
    assert selective_values(*counts, alpha=0.001, min_excess=0.1) == []
    assert [f.value for f in selective_values(*counts, alpha=0.001, min_excess=0.05)] == ["a"]


def test_holm_counts_the_values_of_which_nothing_was_taken() -> None:
    """By hand: p = 1/C(10, 2) = 0.022 for both rows of ``a``; times five values it is no alarm."""
    few, many = {"a": 2, "b": 8}, {"a": 2, "b": 2, "c": 2, "d": 2, "e": 2}
    [alone] = selective_values(few, {"a": 2}, alpha=0.05, min_excess=0.1)
    assert alone.p_value == pytest.approx(1 / 45)
    assert selective_values(many, {"a": 2}, alpha=0.05, min_excess=0.1) == []


def test_nothing_set_aside_is_nothing_selective() -> None:
    assert selective_values({"a": 5, "b": 5}, {}, alpha=0.05, min_excess=0.0) == []
    assert selective_values({}, {}, alpha=0.05, min_excess=0.0) == []
