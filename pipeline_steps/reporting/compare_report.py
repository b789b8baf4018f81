"""Two versions side by side: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pipeline_steps.attack_types import AttackSummary, UnderAttack
from pipeline_steps.comparison_types import PairedComparison
from pipeline_steps.evaluation_types import EvaluationReport, MetricValue, SliceMetrics
from pipeline_steps.gate_types import GateDecision
from pipeline_steps.reporting.attack_tables import Example, marked_examples
from pipeline_steps.reporting.charts import axis_ticks, interval_lanes
from pipeline_steps.reporting.report import environment, metric_name
from pipeline_steps.reporting.run_record import parameter_rows
from pipeline_steps.reporting.severities import SeverityCurve, severity_curves
from pipeline_steps.reporting.stress_tables import drawn_curves
from pipeline_steps.types import UNCOMPARED, Checkpoint, Value

_MOST_SLICES = 12


class ComparedVersion(Value):
    """One of two versions: what was recorded of it, and how long it was champion."""

    version: int
    reports: tuple[EvaluationReport, ...]
    decision: GateDecision
    checkpoint: Checkpoint
    history: tuple[str, ...] = ()
    under_attack: UnderAttack | None = None

    @property
    def suites(self) -> dict[str, EvaluationReport]:
        """The reports that count right answers, by suite."""
        return {r.suite: r for r in self.reports if r.kind not in UNCOMPARED}


class ComparisonRecord(Value):
    """Everything that the comparison of two versions of a model says.

    Every difference is the second minus the first. ``paired``: the second (as candidate) against
    the first on the same rows, where both were run.
    """

    model_name: str
    first: ComparedVersion
    second: ComparedVersion
    paired: tuple[PairedComparison, ...] = ()


def render_comparison(record: ComparisonRecord) -> str:
    """Return the comparison as HTML: scores, paired differences, slices, parameters, origins."""
    first, second = record.first, record.second
    rows = list(_score_rows(first, second))
    ticks = axis_ticks(_lowest([metric for row in rows for metric in row["metrics"]]))
    for row in rows:
        row["drawing"] = interval_lanes(row["metrics"], ticks[0])
    return (
        environment()
        .get_template("compare.html")
        .render(
            model_name=record.model_name,
            first=first,
            second=second,
            rows=rows,
            ticks=[(tick, 100 * (tick - ticks[0]) / (1 - ticks[0])) for tick in ticks],
            paired=[(c, d) for c in record.paired for d in c.differences],
            churns=[c for c in record.paired if c.churn is not None],
            slices=list(_slice_rows(first, second)),
            parameters=list(_differing(_parameters(first), _parameters(second))),
            origins=list(_differing(_origin(first), _origin(second))),
            severities=_severities(first, second),
            attacked=list(_attacked(first, second)),
        )
    )


def _score_rows(first: ComparedVersion, second: ComparedVersion) -> Iterator[dict[str, Any]]:
    """Yield a row for each suite and headline metric that at least one of the two has."""
    for suite in dict.fromkeys([*first.suites, *second.suites]):
        pair = [version.suites.get(suite) for version in (first, second)]
        known = [report for report in pair if report is not None]
        for name in known[0].headlines:
            metrics = [None if r is None else r.metric(name) for r in pair]
            yield {
                "suite": suite,
                "metric": metric_name(name),
                "metrics": metrics,
                "difference": _difference(*metrics),
                "same_rows": len({r.dataset_digest for r in known}) == 1 and len(known) == 2,  # noqa: PLR2004
            }


def _severities(
    first: ComparedVersion, second: ComparedVersion
) -> tuple[tuple[SeverityCurve, str], ...]:
    """Return the curves of the first, each beside that of the second."""
    clean = next((r for v in (first, second) for r in v.reports if r.kind == "clean"), None)
    if clean is None:
        return ()
    ours, theirs = ([*version.suites.values()] for version in (first, second))
    return drawn_curves(severity_curves(ours, clean.headline, theirs))


def _attacked(
    first: ComparedVersion, second: ComparedVersion
) -> Iterator[tuple[str, list[tuple[int, AttackSummary, list[Example]]]]]:
    """Yield, of each attack, what it made of some rows of each version that it was run on."""
    runs = {
        version.version: {} if version.under_attack is None else
        {attack.name: attack for attack in version.under_attack.attacks}
        for version in (first, second)
    }  # fmt: skip
    for name in dict.fromkeys(name for attacks in runs.values() for name in attacks):
        found = [(n, attacks[name]) for n, attacks in runs.items() if name in attacks]
        told = [(n, attack, marked_examples(attack)[0]) for n, attack in found]
        if any(examples for *_, examples in told):
            yield name, [(n, attack, list(examples)) for n, attack, examples in told]


def _slice_rows(
    first: ComparedVersion, second: ComparedVersion
) -> Iterator[tuple[str, SliceMetrics, SliceMetrics, str]]:
    """Yield the slices whose first metric differs most, where both were scored on the same rows."""
    found = []
    for suite, theirs in first.suites.items():
        ours = second.suites.get(suite)
        if ours is None or ours.dataset_digest != theirs.dataset_digest:
            continue
        known = {(part.column, part.value): part for part in ours.slices}
        for part in theirs.slices:
            other = known.get((part.column, part.value))
            values = None if other is None else (part.metrics[0].value, other.metrics[0].value)
            if other is not None and values and None not in values:
                found.append((abs(values[1] - values[0]), suite, part, other))  # type: ignore[operator]
    found.sort(key=lambda row: -row[0])
    for _, suite, part, other in found[:_MOST_SLICES]:
        yield suite, part, other, _difference(part.metrics[0], other.metrics[0])


def _difference(first: MetricValue | None, second: MetricValue | None) -> str:
    if first is None or second is None or first.value is None or second.value is None:
        return ""
    return f"{second.value - first.value:+.3f}"


def _lowest(metrics: Sequence[MetricValue | None]) -> float:
    ends = [m.value if m.ci_low is None else m.ci_low for m in metrics if m is not None]
    return min((end for end in ends if end is not None), default=0.0)


def _parameters(version: ComparedVersion) -> dict[str, str]:
    return dict(parameter_rows(version.checkpoint.parameters))


def _origin(version: ComparedVersion) -> dict[str, str]:
    checkpoint, origin = version.checkpoint, version.checkpoint.provenance
    return {
        "checkpoint digest": checkpoint.digest,
        "base model": checkpoint.base_model,
        "base digest": checkpoint.base_digest,
        "train digest": checkpoint.train_digest,
        "valid digest": checkpoint.valid_digest,
        "labels": str(len(checkpoint.labels)),
        "policy digest": version.decision.policy_digest,
        "code version": origin.code_version,
        "git commit": str(origin.git_commit),
        "dvc.lock": str(origin.lock_digest),
        "made": origin.created_at,
        "platform": f"Python {origin.python}, {origin.platform}",
        **{f"library {name}": version for name, version in origin.libraries.items()},
    }


def _differing(first: dict[str, str], second: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield the names whose values differ, with both; a missing one is a dash."""
    for name in dict.fromkeys([*first, *second]):
        pair = (first.get(name, "-"), second.get(name, "-"))
        if pair[0] != pair[1]:
            yield name, *pair
