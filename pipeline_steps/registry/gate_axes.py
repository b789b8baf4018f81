"""Which axes a policy asks about, given the reports and comparisons that there are."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence

from pipeline_steps.comparison_types import PairedComparison, PairedDifference
from pipeline_steps.evaluation_types import EvaluationReport, MetricValue
from pipeline_steps.judging_params import GateParams
from pipeline_steps.types import ReportKind

CALIBRATION = "ece"
HEADLINE = "headline"


def find_metric(reports: Sequence[EvaluationReport], axis: str) -> MetricValue | None:
    """Return the metric of an axis ``suite/metric``, or ``None`` where it is missing."""
    suite, _, name = axis.rpartition("/")
    report = next((report for report in reports if report.suite == suite), None)
    return None if report is None else report.metric(name)


def find_difference(
    comparisons: Sequence[PairedComparison], axis: str
) -> tuple[PairedComparison, PairedDifference] | None:
    """Return the paired difference of an axis ``suite/metric``, or ``None`` where it is missing."""
    suite, _, name = axis.rpartition("/")
    for comparison in comparisons:
        for difference in comparison.every_difference:
            if comparison.suite == suite and difference.name == name:
                return comparison, difference
    return None


def gain_axes(comparisons: Sequence[PairedComparison], policy: GateParams) -> tuple[str, ...]:
    """Return the axes in which a gain must be shown.

    An entry of ``policy.superiority`` may be a pattern over suites, and its metric ``headline``:
    the first metric of that suite. One that fits no suite stays as it is, so that it is missed.
    """
    axes: dict[str, None] = {}
    for entry in policy.superiority:
        axes |= dict.fromkeys(list(_expanded(entry, comparisons)) or [entry])
    return tuple(axes)


def gain_sets(comparisons: Sequence[PairedComparison], policy: GateParams) -> frozenset[str]:
    """Return the digests of the evaluation sets that a gain must be shown on."""
    suites = {axis.rpartition("/")[0] for axis in gain_axes(comparisons, policy)}
    return frozenset(one.dataset_digest for one in comparisons if one.suite in suites)


def non_inferiority_margins(
    reports: Sequence[EvaluationReport],
    comparisons: Sequence[PairedComparison],
    policy: GateParams,
) -> dict[str, float]:
    """Return the margin of each axis that may not be worse.

    The headline of every suite; the calibration error of clean rows, where the reports have one;
    the AUROC of suites out of scope; and what the policy names, which comes before all of these.
    """
    kinds = {report.suite: report.kind for report in reports}
    margins: dict[str, float] = {}
    for comparison in comparisons:
        margin = _margin_of(kinds.get(comparison.suite, "clean"), policy)
        if margin is not None:
            margins[f"{comparison.suite}/{comparison.headline}"] = margin
    return margins | _calibration(reports, policy) | dict(policy.non_inferiority)


def may_be_unsure(suite: str, policy: GateParams) -> bool:
    """Return whether a suite only refuses where it is shown to be worse."""
    return any(fnmatch.fnmatchcase(suite, pattern) for pattern in policy.unsure_suites)


def wanted_out_of_scope(
    reports: Sequence[EvaluationReport], policy: GateParams
) -> Iterator[EvaluationReport]:
    """Yield the reports out of scope that the policy wants compared."""
    if policy.out_of_scope_margin is not None:
        yield from (report for report in reports if report.kind == "out_of_scope")


def clean_suite(reports: Sequence[EvaluationReport]) -> EvaluationReport | None:
    """Return the report of the clean test rows: the first one of that kind."""
    return next((report for report in reports if report.kind == "clean"), None)


def _expanded(entry: str, comparisons: Sequence[PairedComparison]) -> Iterator[str]:
    suites, _, metric = entry.rpartition("/")
    for comparison in comparisons:
        if fnmatch.fnmatchcase(comparison.suite, suites):
            yield f"{comparison.suite}/{comparison.headline if metric == HEADLINE else metric}"


def _margin_of(kind: ReportKind, policy: GateParams) -> float | None:
    return policy.out_of_scope_margin if kind == "out_of_scope" else policy.default_margin


def _calibration(reports: Sequence[EvaluationReport], policy: GateParams) -> dict[str, float]:
    clean = clean_suite(reports)
    if policy.calibration_margin is None or clean is None or clean.metric(CALIBRATION) is None:
        return {}
    return {f"{clean.suite}/{CALIBRATION}": policy.calibration_margin}
