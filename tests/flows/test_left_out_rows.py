"""New rows that the data stages set aside: a retrain says how many, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tiny_workspaces import shifted_rows

from flows.prepare_data import prepare_data, read_datasets
from flows.retraining.dataset_version import add_dataset_version
from flows.retraining.left_out import describe_left_out
from flows.retraining.material import retrain_material
from flows.workspace import Workspace
from pipeline_steps.errors import DataError


def material_of(root: Path, rows: list[dict[str, Any]]) -> tuple[Any, Any]:
    """Return the dataset version of new rows, and what a retrain learns from."""
    workspace = Workspace.open(root)
    version = add_dataset_version(workspace, "retrain-a", rows)
    return version, retrain_material(workspace, prepare_data(workspace), version)


def held_out_rows(root: Path) -> list[dict[str, Any]]:
    """Return the rows of the test set, as a raw file holds them."""
    table = pq.read_table(read_datasets(root).test.path, columns=["text", "label"])
    return [dict(row) for row in table.to_pylist()]


def test_rows_set_aside_by_any_data_stage_are_counted_by_reason(prepared: Path) -> None:
    flawed = [{"text": " ", "label": "plus"}] * 4 + [{"text": 7, "label": "plus"}] * 4
    version, material = material_of(
        prepared, [*shifted_rows(120), *flawed, *held_out_rows(prepared)]
    )
    learnt = [
        name
        for part in (material.datasets.train, material.datasets.valid)
        for name in pq.read_table(part.path)["example_id"].to_pylist()
        if name.startswith(version.train)
    ]
    reasons = {"text_not_a_string", "text_too_short", "near_duplicate_of_test"}
    assert set(material.left_out) == reasons
    assert len(learnt) == version.n_train - sum(material.left_out.values())


def test_where_all_are_set_aside_the_error_says_why(prepared: Path) -> None:
    with pytest.raises(
        DataError, match=r"no new row is left to learn from: 0 of .*near_duplicate_of_test\)"
    ):
        material_of(prepared, held_out_rows(prepared))


def test_what_was_learnt_from_is_said_in_one_line() -> None:
    assert describe_left_out(246, {}) == "246 new rows"
    said = describe_left_out(619, {"repeated": 600, "empty_text": 15})
    assert said == "4 of 619 new rows (615 set aside: 15 empty_text, 600 repeated)"
