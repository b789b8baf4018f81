"""Attacked rows carry what predictions on the same rows carry."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
from builders import write_examples
from tiny_predictors import predictor

from flows.victims import CheckpointVictim
from pipeline_steps.inference.examples_file import read_examples
from pipeline_steps.predictions_file import read_predictions, write_predictions


def test_an_attacked_row_carries_the_time_domain_and_group_that_its_prediction_carries(
    tmp_path: Path,
) -> None:
    moment = datetime(2024, 2, 29, 13, 5, 7, 250, tzinfo=UTC)
    file = write_examples(
        tmp_path / "rows.parquet",
        [
            {"text": "the good card", "label": "good", "timestamp": moment, "domain": "chat"},
            {"text": "a bad card", "label": "bad", "group": "7", "source": "desk"},
        ],
    )
    model = predictor(tmp_path / "model")
    rows = pq.read_table(file).to_pylist()
    victim = CheckpointVictim(model)
    files = {
        "predicted": model.table(read_examples(file)),
        "attacked": victim.table(rows, victim(rows)),
    }
    kept = {}
    for name, table in files.items():
        written = write_predictions(
            tmp_path / f"{name}.parquet", table, checkpoint_digest="c", dataset_digest="d",
            suite=name, kind="clean",
        )  # fmt: skip
        columns = read_predictions(written).columns
        kept[name] = {column: values.tolist() for column, values in columns.items()}
    assert kept["attacked"] == kept["predicted"]
    assert kept["attacked"]["timestamp"] == [moment.isoformat(), None]
