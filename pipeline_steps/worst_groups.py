"""Who is served worst over all suites of a version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline_steps.evaluation_types import EvaluationReport, SliceMetrics
from pipeline_steps.types import UNCOMPARED


@dataclass(frozen=True)
class Group:
    """A slice of one suite."""

    suite: str
    part: SliceMetrics


def not_attacked(reports: Sequence[EvaluationReport]) -> list[EvaluationReport]:
    """Return the reports of rows as somebody wrote them, or as noise left them."""
    return [report for report in reports if report.kind != "adversarial"]


def worst_suite(reports: Sequence[EvaluationReport]) -> EvaluationReport | None:
    """Return the report with the lowest headline metric; ``None``: none has a value.

    The lowest of several suites is low by chance as well: read it with its interval. What counts
    no right answers (:data:`UNCOMPARED`) is no suite here, nor is an attack.
    """
    natural = [report for report in not_attacked(reports) if report.kind not in UNCOMPARED]
    found = [(report.metric(report.headline), report) for report in natural]
    known = [(m.value, report) for m, report in found if m is not None and m.value is not None]
    return min(known, key=lambda pair: pair[0])[1] if known else None


def worst_group(reports: Sequence[EvaluationReport]) -> Group | None:
    """Return the slice with the lowest first metric over all suites; of equals the largest.

    Rows under attack are no group: an attack lowers all of them.
    """
    return next(iter(worst_groups(reports, 1)), None)


def worst_groups(reports: Sequence[EvaluationReport], most: int) -> tuple[Group, ...]:
    """Return the slices with the lowest first metrics, each in the suite where it is lowest.

    The lowest comes first; of equals the largest.
    """
    groups = [
        (part.metrics[0].value, -part.n, place, Group(report.suite, part))
        for place, report in enumerate(not_attacked(reports))
        for part in (*report.slices, *report.text_slices)
        if part.metrics and part.metrics[0].value is not None
    ]
    found: dict[tuple[str, str], Group] = {}
    for *_, group in sorted(groups, key=lambda group: group[:3]):
        found.setdefault((group.part.column, group.part.value), group)
    return tuple(found.values())[:most]
