"""Time slices: years, quarters and months, in reports and in paired comparisons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pipeline_steps.errors import ConfigurationError
from pipeline_steps.evaluation.compare import compare
from pipeline_steps.evaluation.evaluate import evaluate
from pipeline_steps.evaluation.time_slices import time_columns
from pipeline_steps.judging_params import EvaluateParams
from pipeline_steps.params import parse_params
from pipeline_steps.predictions_file import read_predictions, write_predictions
from pipeline_steps.types import Predictions

TRUTH = [0] * 60
TIMES = [f"2026-0{1 + i // 20}-15T08:00:00+00:00" for i in range(60)]


def dated(made: Predictions, times: list[str | None]) -> Predictions:
    """Return the same predictions with times."""
    table = read_predictions(made)
    columns = {**table.columns, "timestamp": np.array(times, dtype=object)}
    return write_predictions(
        made.path, replace(table, columns=columns), checkpoint_digest=made.checkpoint_digest,
        dataset_digest=made.dataset_digest, suite=made.suite, kind=made.kind,
    )  # fmt: skip


def params(*columns: str) -> EvaluateParams:
    return EvaluateParams(bootstrap_resamples=20, slice_columns=columns)


def test_harm_in_one_month_is_seen_in_the_report_and_against_the_champion(save: Callable) -> None:
    worse = [1 if i >= 50 else 0 for i in range(60)]
    ours = dated(save(TRUTH, worse, digest="a"), TIMES)
    theirs = dated(save(TRUTH, TRUTH, digest="b"), TIMES)
    found = evaluate(ours, params("month", "quarter"))
    scores = {(part.column, part.value): part.metrics[0].value for part in found.slices}
    assert scores == {("month", "2026-01"): 1.0, ("month", "2026-02"): 1.0,
                      ("month", "2026-03"): 0.5}  # fmt: skip
    assert found.worst_slice.value == "2026-03"
    slices = compare(ours, theirs, params("month")).slices
    assert {part.value: part.difference.difference for part in slices} == {
        "2026-01": 0.0, "2026-02": 0.0, "2026-03": -0.5,
    }  # fmt: skip


def test_rows_without_a_time_are_in_no_slice_and_nobody_is_cut_by_time_unasked(save) -> None:
    times = [None if i % 2 else time for i, time in enumerate(TIMES)]
    made = dated(save(TRUTH, TRUTH), times)
    few = params("month").model_copy(update={"min_slice_rows": 5})
    assert [part.n for part in evaluate(made, few).slices] == [10, 10, 10]
    assert {part.column for part in evaluate(made, params("domain")).slices} == {"domain"}


def test_a_quarter_ends_with_its_third_month() -> None:
    times = [f"2025-{month:02d}-01" for month in range(1, 13)]
    found = time_columns(times)["quarter"].tolist()
    assert found == [f"2025-Q{1 + month // 3}" for month in range(12)]


def test_a_column_that_there_is_not_is_refused_with_the_parameters() -> None:
    values = {"ingest": {"sources": [{"path": "a"}]}, "evaluate": {"slice_columns": ["channel"]}}
    with pytest.raises(ConfigurationError, match=r"evaluate\.slice_columns\.0: Input should be"):
        parse_params(values, source="params.yaml")
