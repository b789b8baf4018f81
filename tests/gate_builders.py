"""Builders of reports and comparisons as the gate reads them."""

from __future__ import annotations

from pipeline_steps.comparison_types import PairedComparison, PairedDifference
from pipeline_steps.evaluation_types import EvaluationReport, MetricValue
from pipeline_steps.judging_params import GateParams

POLICY = GateParams(
    floors={"test/accuracy": 0.7},
    superiority=("test/accuracy",),
    min_rows=50,
    looks=1,
    calibration_margin=None,
)


def report(
    suite: str = "test",
    accuracy: float | None = 0.9,
    n: int = 500,
    digest: str = "new",
    ece: float | None = None,
) -> EvaluationReport:
    """Return a report of one suite with an accuracy and, where given, a calibration error."""
    metrics = [MetricValue(name="accuracy", value=accuracy, n=n, ci_low=0.0, ci_high=1.0)]
    if ece is not None:
        metrics.append(MetricValue(name="ece", value=ece, n=n, greater_is_better=False))
    return EvaluationReport(
        checkpoint_digest=digest,
        dataset_digest=f"rows of {suite}",
        predictions_digest="p",
        suite=suite,
        kind="clean",
        n=n,
        metrics=tuple(metrics),
    )


def comparison(
    suite: str = "test",
    difference: float = 0.03,
    half_width: float = 0.01,
    p_value: float | None = 0.001,
    *,
    n: int = 500,
    champion: str = "old",
    accuracy: float = 0.9,
    ece_difference: float | None = None,
) -> PairedComparison:
    """Return a comparison with ``champion`` of the rows that :func:`report` is about."""
    found = [_difference("accuracy", accuracy, difference, half_width, p_value, n)]
    if ece_difference is not None:
        found.append(_difference("ece", 0.05, ece_difference, 0.01, 0.5, n))
    return PairedComparison(
        suite=suite,
        dataset_digest=f"rows of {suite}",
        candidate_digest="new",
        champion_digest=champion,
        n=n,
        n_only_candidate_correct=0,
        n_only_champion_correct=0,
        differences=tuple(found),
    )


def _difference(
    name: str, value: float, difference: float, half_width: float, p_value: float | None, n: int
) -> PairedDifference:
    return PairedDifference(
        name=name,
        candidate=value,
        champion=value - difference,
        difference=difference,
        ci_low=difference - half_width,
        ci_high=difference + half_width,
        p_value=p_value,
        n=n,
        greater_is_better=name != "ece",
    )
