"""The nouns of evaluation: a metric with its interval, and the report of one suite."""

from __future__ import annotations

from typing import Literal

from pipeline_steps.types import ReportKind, Value


class MetricValue(Value):
    """A number with its sample size and interval; ``None`` means undefined, never 0."""

    name: str
    value: float | None
    n: int
    ci_low: float | None = None
    ci_high: float | None = None
    greater_is_better: bool = True


class SliceMetrics(Value):
    """Metrics of the rows that share one value of one column."""

    column: str
    value: str
    n: int
    metrics: tuple[MetricValue, ...]


class LeftOutSlices(Value):
    """Values of a column that have enough rows and were not looked at; n is that of the largest."""

    column: str
    n_values: int
    n: int


class ClassMetrics(Value):
    """Precision, recall and F1 of one label, as the field prints them."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


class BehaviourFailure(Value):
    """A case that a model failed: the text, the one before the change, what was expected."""

    text: str
    original: str | None
    expected: str
    got: str


class BehaviourResult(Value):
    """One behavioural test: how often it failed, and its first failures."""

    name: str
    kind: Literal["minimum_functionality", "invariance", "directional"]
    capability: str
    n: int
    n_failed: int
    failure_rate: MetricValue
    failures: tuple[BehaviourFailure, ...] = ()


class SuiteAverage(Value):
    """The first metric as its mean over some suites, and what it loses against the clean rows."""

    suites: tuple[str, ...]
    mean: MetricValue
    gap: MetricValue


class EvaluationReport(Value):
    """All metrics of one checkpoint on one suite.

    ``headlines`` names the metrics that are shown first; the first of them decides. ``tags``: the
    report by single tag, where a row has many. ``text_slices``: of subpopulations read off the
    text. ``worst_group``: the lowest first headline of ``slices``; ``group_means``: its mean over
    the slices of a column. ``averages``: over suites. ``risk_coverage``: points (coverage, risk).
    ``temperature``: fitted on the valid rows, with ``scaled_reliability`` under
    it. ``not_measured``: what is not among the metrics, and why. ``n_unchanged``: rows that noise
    left as the clean ones are, where that was counted.
    """

    checkpoint_digest: str
    dataset_digest: str
    predictions_digest: str
    suite: str
    kind: ReportKind
    n: int
    metrics: tuple[MetricValue, ...]
    classes: tuple[ClassMetrics, ...] = ()
    slices: tuple[SliceMetrics, ...] = ()
    worst_slice: SliceMetrics | None = None
    worst_group: MetricValue | None = None
    group_means: tuple[MetricValue, ...] = ()
    averages: tuple[SuiteAverage, ...] = ()
    tags: tuple[ClassMetrics, ...] = ()
    confusion: tuple[tuple[str, str, int], ...] = ()
    reliability: tuple[tuple[float, float, int], ...] = ()
    text_slices: tuple[SliceMetrics, ...] = ()
    risk_coverage: tuple[tuple[float, float], ...] = ()
    temperature: MetricValue | None = None
    scaled_reliability: tuple[tuple[float, float, int], ...] = ()
    behaviour: tuple[BehaviourResult, ...] = ()
    not_measured: tuple[str, ...] = ()
    n_unchanged: int | None = None
    headlines: tuple[str, ...] = ("accuracy", "macro_f1")

    @property
    def mostly_unchanged(self) -> bool:
        """Whether at least half of the rows are the clean ones, so that a gap says little."""
        return self.n_unchanged is not None and self.n > 0 and 2 * self.n_unchanged >= self.n

    @property
    def headline(self) -> str:
        """The metric that decides at the gate."""
        return self.headlines[0]

    @property
    def every_metric(self) -> tuple[MetricValue, ...]:
        """The metrics over all rows; behind them the worst group's and the means of groups."""
        worst = () if self.worst_group is None else (self.worst_group,)
        return (*self.metrics, *worst, *self.group_means)

    def metric(self, name: str) -> MetricValue | None:
        """Return the metric called ``name``, or ``None`` where this report has none."""
        return next((metric for metric in self.every_metric if metric.name == name), None)
