"""All reports of one checkpoint: the metrics of each suite, and what the suites say together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline_steps.errors import DataError, counted
from pipeline_steps.evaluation.evaluate import evaluate
from pipeline_steps.evaluation.reading import ScoredSuite, read_scored
from pipeline_steps.evaluation.stress.averages import average_report
from pipeline_steps.evaluation.stress.calibration_errors import adaptive_ece, classwise_ece
from pipeline_steps.evaluation.stress.out_of_scope import out_of_scope_report
from pipeline_steps.evaluation.stress.scaling import (
    calibration_report,
    scaled_fields,
    scaled_metrics,
)
from pipeline_steps.evaluation.stress.selective import risk_coverage, selective_metrics
from pipeline_steps.evaluation.stress.shift import gap_metrics
from pipeline_steps.evaluation.stress.temperature import truth_indices
from pipeline_steps.evaluation.stress.text_marks import TextMarks, asks_for_marks
from pipeline_steps.evaluation.stress.text_slices import TextProfile, text_columns, text_slices
from pipeline_steps.evaluation_types import EvaluationReport, MetricValue, SliceMetrics
from pipeline_steps.judging_params import EvaluateParams
from pipeline_steps.predictions_file import PredictionTable
from pipeline_steps.types import SISTERS, Predictions


@dataclass(frozen=True)
class Texts:
    """What the model read: suite -> row id -> text, and what the train texts are like."""

    profile: TextProfile
    by_suite: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Known:
    """What is known of the texts: themselves, and what they are like."""

    texts: Texts | None
    marks: TextMarks | None


def evaluate_all(
    judged: Sequence[Predictions],
    params: EvaluateParams,
    *,
    valid: Predictions | None = None,
    texts: Texts | None = None,
    unchanged: Mapping[str, int] | None = None,
    marks: TextMarks | None = None,
) -> list[EvaluationReport]:
    """Return one report a suite, in the order of ``judged``; the temperature, the average behind.

    Beside what :func:`evaluate` says there are: adaptive and classwise calibration errors; risk
    against coverage; calibration under the temperature that the valid rows ask for
    (``ece_scaled``, ``nll_scaled``, ``brier_scaled``); what is lost against the clean rows; and
    subpopulations by text. A suite out of scope has a report of its own kind, and so has the
    average over two suites or more (:func:`average_report`).

    Parameters
    ----------
    judged : sequence of Predictions
        The clean test rows, and every suite.
    params : EvaluateParams
        Metrics and their intervals.
    valid : Predictions, optional
        Rows that the temperature is fitted on; without them nothing is scaled.
    texts : Texts, optional
        What the model read; without it there are no subpopulations by text.
    unchanged : mapping, optional
        Suite -> how many of its rows noise left as they were.
    marks : TextMarks, optional
        What the texts are like, where slices are cut by it; by default read off ``texts``.

    Raises
    ------
    DataError
        If predictions cannot be used, none are of clean rows, or a suite out of scope holds rows
        that are in scope.
    """
    inside = [ScoredSuite(p, *read_scored(p, params)) for p in judged if p.kind != "out_of_scope"]
    clean = _clean(inside)
    calibration = None if valid is None else calibration_report(valid, params)
    temperature = None if calibration is None else calibration.temperature
    if marks is None and texts is not None and asks_for_marks(params.slice_columns):
        marks = TextMarks.of_texts(texts.by_suite, texts.profile)
    known = Known(texts, marks)
    reports = {
        suite.predictions.suite: _report(suite, clean, temperature, known, params)
        for suite in inside
    }
    for predictions in judged:
        if predictions.kind == "out_of_scope":
            found = out_of_scope_report(clean.predictions, predictions, params)
            reports[predictions.suite] = found
    for name, n in (unchanged or {}).items():
        reports[name] = reports[name].model_copy(update={"n_unchanged": n})
    in_order = [reports[predictions.suite] for predictions in judged]
    further = (calibration, average_report(inside, params))
    return [*in_order, *(report for report in further if report is not None)]


def _clean(suites: Sequence[ScoredSuite]) -> ScoredSuite:
    for suite in suites:
        if suite.predictions.kind == "clean":
            return suite
    raise DataError(
        f"{counted(len(suites), 'suite')}, none of them clean",
        expected="the clean test rows among them: others are held against them",
        fix="give the predictions of the test set too",
    )


def _report(
    suite: ScoredSuite,
    clean: ScoredSuite,
    temperature: MetricValue | None,
    known: Known,
    params: EvaluateParams,
) -> EvaluationReport:
    """Return the report of a suite in scope with all that is said beside the metrics."""
    report = evaluate(suite.predictions, params, known.marks)
    added: dict[str, Any] = {"text_slices": _by_text(suite, known.texts, params)}
    metrics = [*report.metrics, *_sureness(suite, params)]
    if suite.rows.shares and suite.rows.has_confidence:
        added["risk_coverage"] = risk_coverage(suite.rows.confidence, suite.rows.correct)
    if isinstance(suite.table, PredictionTable) and temperature is not None:
        metrics += scaled_metrics(suite.table, temperature, params)
        added |= scaled_fields(suite.table, temperature, params)
    if suite is not clean:
        metrics += gap_metrics(
            (clean.table, clean.rows),
            (suite.table, suite.rows),
            params,
            sisters=suite.predictions.kind in SISTERS,
        )
    return report.model_copy(update={**added, "metrics": tuple(metrics)})


def _sureness(suite: ScoredSuite, params: EvaluateParams) -> tuple[MetricValue, ...]:
    """Return further calibration errors and what abstaining would bring."""
    if not suite.rows.has_confidence:
        return ()
    metrics: tuple[MetricValue, ...] = (adaptive_ece(suite.rows, params),)
    if isinstance(suite.table, PredictionTable):
        truth = truth_indices(suite.table)
        metrics += (classwise_ece(suite.table.logits, truth, params),)
    if suite.rows.shares:  # else no row is simply right or wrong
        metrics += selective_metrics(suite.rows, params)
    return metrics


def _by_text(
    suite: ScoredSuite, texts: Texts | None, params: EvaluateParams
) -> tuple[SliceMetrics, ...]:
    known = {} if texts is None else texts.by_suite.get(suite.predictions.suite, {})
    if texts is None or not known:
        return ()
    read = [known[example_id] for example_id in suite.table.example_ids]
    return text_slices(suite.rows, text_columns(read, texts.profile), params)
