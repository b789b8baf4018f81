"""Predictions on disk: what was written is what is read, and nothing else is accepted."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline_steps.errors import DataError
from pipeline_steps.predictions_file import describe_predictions, read_predictions


def test_a_table_survives_the_round_trip(save) -> None:
    reference = save([0, 1, 2], [0, 2, 2])
    table = read_predictions(reference)
    assert table.labels == ("x", "y", "z")
    assert table.truth.tolist() == ["x", "y", "z"]
    assert table.predicted.tolist() == ["x", "z", "z"]
    assert table.logits.shape == (3, 3)
    assert table.logits.dtype == np.float32
    assert table.columns["domain"].tolist() == ["b", "a", "b"]
    assert describe_predictions(reference.path) == reference


def test_the_same_table_is_written_to_the_same_bytes(save) -> None:
    first = save([0, 1], [0, 1]).digest
    assert save([0, 1], [0, 1]).digest == first


def test_a_truncated_file_is_refused_by_name(save) -> None:
    path = save([0, 1], [0, 1]).path
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"model-test\.parquet cannot be read"):
        read_predictions(path)


def test_a_file_that_changed_since_it_was_written_is_refused(save) -> None:
    reference = save([0, 1], [0, 1])
    other = save([0, 1], [1, 1], digest="other")
    reference.path.write_bytes(other.path.read_bytes())
    with pytest.raises(DataError, match="has changed since it was written"):
        read_predictions(reference)


def test_a_parquet_file_of_something_else_is_refused(tmp_path) -> None:
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(DataError, match="its metadata lack checkpoint_digest"):
        describe_predictions(path)


def test_zero_rows_can_be_written_and_read(save) -> None:
    assert read_predictions(save([], [])).logits.shape == (0, 3)


def test_a_damaged_page_is_refused_by_name(save) -> None:
    """The footer is whole, the data are not: a file that a disk has spoilt in the middle."""
    path = save([0, 1] * 50, [0, 1] * 50).path
    content = bytearray(path.read_bytes())
    content[4:60] = bytes(56)
    path.write_bytes(bytes(content))
    with pytest.raises(
        DataError, match=r"model-test\.parquet cannot be read as a predictions file"
    ):
        read_predictions(path)


def test_columns_that_do_not_fit_the_labels_are_refused(save, tmp_path) -> None:
    arrow = pq.read_table(save([0, 1], [0, 1]).path)
    metadata = {**arrow.schema.metadata, b"labels": b'["x", "y"]'}
    path = tmp_path / "two-labels.parquet"
    pq.write_table(arrow.replace_schema_metadata(metadata), path)
    with pytest.raises(DataError, match="its columns are not those of predictions"):
        read_predictions(path)


def test_a_missing_file_is_refused_by_name(tmp_path) -> None:
    with pytest.raises(DataError, match=r"gone\.parquet cannot be read"):
        read_predictions(tmp_path / "gone.parquet")
