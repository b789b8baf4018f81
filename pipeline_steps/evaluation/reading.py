"""Predictions of any problem as scored rows, in the order of their ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from pipeline_steps.evaluation.answers import AnsweredRows, rows_of_answers
from pipeline_steps.evaluation.label_answers import label_outcomes
from pipeline_steps.evaluation.outcomes import Outcomes, in_id_order, outcomes
from pipeline_steps.evaluation.stress.text_marks import TextMarks
from pipeline_steps.evaluation.time_slices import COLUMNS as PERIODS
from pipeline_steps.evaluation.time_slices import time_columns
from pipeline_steps.judging_params import EvaluateParams
from pipeline_steps.predictions_file import AnyTable, PredictionTable, read_predictions
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.problem import LabelProblem, StructuredProblem
from pipeline_steps.types import Predictions


@dataclass(frozen=True)
class ScoredSuite:
    """One suite's predictions in the order of their ids."""

    predictions: Predictions
    table: AnyTable
    rows: Outcomes | AnsweredRows


def read_scored(
    predictions: Predictions, params: EvaluateParams
) -> tuple[AnyTable, Outcomes | AnsweredRows]:
    """Return the table and its scored rows.

    Raises
    ------
    DataError
        If the predictions are empty, altered, repeated or not finite.
    """
    table = in_id_order(read_predictions(predictions))
    problem, n_bins = get_problem(predictions.problem), params.calibration_bins
    if isinstance(table, PredictionTable):
        return table, outcomes(table, n_bins, cast("LabelProblem", problem))
    if problem.has_label:
        return table, label_outcomes(table, n_bins, cast("LabelProblem", problem))
    return table, rows_of_answers(table, cast("StructuredProblem", problem), n_bins)


def sliced_columns(
    table: AnyTable, suite: str, params: EvaluateParams, marks: TextMarks | None
) -> dict[str, np.ndarray[Any, Any]]:
    """Return the columns that slices may be cut by: of the data, of time, of what texts are like.

    Time is cut up only where ``evaluate.slice_columns`` asks for it.
    """
    found = {} if marks is None else marks.columns(suite, table.example_ids.tolist())
    times = time_columns(table.columns["timestamp"]) if {*PERIODS} & {*params.slice_columns} else {}
    return {**found, **times, **table.columns}
