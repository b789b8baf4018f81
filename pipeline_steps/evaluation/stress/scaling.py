"""Calibration before and after one temperature: on the rows it was fitted on, and elsewhere."""

from __future__ import annotations

from typing import Any

from pipeline_steps.evaluation.calibration import reliability_points
from pipeline_steps.evaluation.outcomes import in_id_order, outcomes
from pipeline_steps.evaluation.stress.naming import renamed
from pipeline_steps.evaluation.stress.temperature import fit_temperature, scaled, truth_indices
from pipeline_steps.evaluation.uncertainty import metric_values
from pipeline_steps.evaluation_types import EvaluationReport, MetricValue
from pipeline_steps.judging_params import EvaluateParams
from pipeline_steps.predictions_file import PredictionTable, read_predictions
from pipeline_steps.types import Predictions

SUITE = "calibration"
_MEASURES = ("ece", "nll", "brier")


def calibration_report(valid: Predictions, params: EvaluateParams) -> EvaluationReport | None:
    """Return the temperature of the valid rows, with their calibration before and after.

    ``None`` where the answers have no logits. The temperature is undefined where there is none
    (:func:`fit_temperature`), and nothing is scaled then. The valid rows also chose the
    checkpoint, so that a temperature fitted on them is a little too sure.
    """
    table = read_predictions(valid)
    if not isinstance(table, PredictionTable):
        return None
    table = in_id_order(table)
    temperature = _temperature(table, params.confidence)
    before = metric_values(outcomes(table, params.calibration_bins), params, _MEASURES)
    after = scaled_metrics(table, temperature, params)
    return EvaluationReport(
        checkpoint_digest=valid.checkpoint_digest,
        dataset_digest=valid.dataset_digest,
        predictions_digest=valid.digest,
        suite=SUITE,
        kind="calibration",
        n=len(table.truth),
        metrics=(temperature, *before, *after),
        temperature=temperature,
        headlines=("temperature",),
    )


def scaled_metrics(
    table: PredictionTable, temperature: MetricValue, params: EvaluateParams
) -> tuple[MetricValue, ...]:
    """Return ECE, NLL and Brier score under a temperature, as ``<metric>_scaled``."""
    if temperature.value is None:
        undefined = (f"{name}_scaled" for name in _MEASURES)
        n = len(table.truth)
        return tuple(
            MetricValue(name=name, value=None, n=n, greater_is_better=False) for name in undefined
        )
    rows = outcomes(scaled(table, temperature.value), params.calibration_bins)
    found = metric_values(rows, params, _MEASURES)
    return tuple(renamed(metric, f"{metric.name}_scaled") for metric in found)


def scaled_fields(
    table: PredictionTable, temperature: MetricValue, params: EvaluateParams
) -> dict[str, Any]:
    """Return the temperature and the reliability points under it, as fields of a report."""
    fields: dict[str, Any] = {"temperature": temperature}
    if temperature.value is not None:
        rows = outcomes(scaled(table, temperature.value), params.calibration_bins)
        fields["scaled_reliability"] = reliability_points(rows)
    return fields


def _temperature(table: PredictionTable, confidence: float) -> MetricValue:
    found = fit_temperature(table.logits, truth_indices(table), confidence)
    n = len(table.truth)
    if found is None:
        return MetricValue(name="temperature", value=None, n=n, greater_is_better=False)
    return MetricValue(
        name="temperature",
        value=found.value,
        n=found.n,
        ci_low=found.ci_low,
        ci_high=found.ci_high,
        greater_is_better=False,
    )
