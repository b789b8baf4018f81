"""The nouns that travel between steps: small, frozen, JSON-serialisable, each with a digest.

Frames, tensors and weights never cross a step's boundary; references to them do.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

EXAMPLE_COLUMNS = (
    "example_id",
    "text",
    "text_pair",
    "label",
    "target",
    "source",
    "domain",
    "timestamp",
    "group",
    "role",
)
"""Columns of every examples file (Parquet): strings, but ``timestamp`` (microseconds, UTC).

``role`` says where a row was declared to belong: ``auto`` (the split stage decides), ``train``,
``valid``, ``test`` or ``suite:<name>``. ``target`` is what a problem wants to know beyond a label,
as JSON (``{"tokens": [...], "tags": [...]}`` for ner). All but ``example_id``, ``text`` and
``role`` may be null, ``label`` only where the problem has none.
"""

ReportKind = Literal["clean", "noise", "adversarial", "shift", "calibration", "seeds"]


class Value(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DatasetRef(Value):
    """A file of examples, named by its content."""

    name: str
    split: str
    path: Path
    digest: str
    n_examples: int
    kind: ReportKind = "clean"


class ExpectationFailure(Value):
    """One expectation that some rows, or the file, did not meet."""

    expectation: str
    column: str | None
    count: int
    examples: tuple[str, ...] = ()
    severity: Literal["critical", "warning"] = "critical"


class ValidationReport(Value):
    """What the expectation suite found in a dataset, and what was set aside."""

    dataset_digest: str
    success: bool
    n_rows: int
    n_kept: int
    failures: tuple[ExpectationFailure, ...] = ()
    quarantined: dict[str, int] = {}
    blocked_because: tuple[str, ...] = ()


class Provenance(Value):
    """Where and from what something was made."""

    created_at: str
    holdfast_version: str
    code_version: str
    git_commit: str | None
    git_dirty: bool | None
    lock_digest: str | None
    python: str
    platform: str
    libraries: dict[str, str] = {}


class Checkpoint(Value):
    """A directory of weights whose ``meta.json`` was written last.

    ``further_digests``: of teachers and earlier data that ``parameters`` name, by key.
    """

    path: Path
    digest: str
    problem: str
    labels: tuple[str, ...]
    base_model: str
    base_digest: str
    parameters: dict[str, Any]
    train_digest: str
    valid_digest: str
    further_digests: dict[str, str] = {}
    training: dict[str, Any]
    provenance: Provenance


class Predictions(Value):
    """One model's outputs on one dataset: a Parquet file in dataset order.

    Columns: ``example_id``, ``truth``, ``predicted``, ``logits`` (list of float32, one per label),
    ``n_tokens``, and the examples' ``source``, ``domain``, ``timestamp``, ``group``. The file's
    schema metadata ``labels`` (JSON) names the logits. Where an answer is more than one label,
    ``truth`` and ``predicted`` are JSON and ``score`` (the confidence) stands for ``logits``.
    """

    path: Path
    digest: str
    checkpoint_digest: str
    dataset_digest: str
    suite: str
    kind: ReportKind
    n_examples: int
    problem: str = "text_classification"


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


class ClassMetrics(Value):
    """Precision, recall and F1 of one label, as the field prints them."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


class EvaluationReport(Value):
    """All metrics of one checkpoint on one suite.

    ``headlines`` names the metrics that are shown first; the first of them decides. ``tags``: the
    report by single tag, where a row has many.
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
    tags: tuple[ClassMetrics, ...] = ()
    confusion: tuple[tuple[str, str, int], ...] = ()
    reliability: tuple[tuple[float, float, int], ...] = ()
    headlines: tuple[str, ...] = ("accuracy", "macro_f1")

    @property
    def headline(self) -> str:
        """The metric that decides at the gate."""
        return self.headlines[0]

    def metric(self, name: str) -> MetricValue | None:
        """Return the metric called ``name``, or ``None`` where this report has none."""
        return next((metric for metric in self.metrics if metric.name == name), None)


class PairedDifference(Value):
    """Candidate minus champion in one metric over the same rows."""

    name: str
    candidate: float
    champion: float
    difference: float
    ci_low: float
    ci_high: float
    p_value: float | None
    n: int
    greater_is_better: bool = True


class PairedComparison(Value):
    """Two checkpoints on the same rows of one suite."""

    suite: str
    dataset_digest: str
    candidate_digest: str
    champion_digest: str
    n: int
    n_only_candidate_correct: int
    n_only_champion_correct: int
    differences: tuple[PairedDifference, ...]
    headline: str = "accuracy"


class Verdict(StrEnum):
    """What the gate says of a candidate."""

    PROMOTE = "PROMOTE"
    HOLD = "HOLD"
    REJECT = "REJECT"
    INCONCLUSIVE = "INCONCLUSIVE"


class GateCheck(Value):
    """One question that the gate asked."""

    name: str
    candidate: float | None
    champion: float | None = None
    margin: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    passed: bool
    reason: str


class GateDecision(Value):
    """The gate's verdict with everything that it rests on."""

    verdict: Verdict
    reasons: tuple[str, ...]
    checks: tuple[GateCheck, ...]
    candidate_digest: str
    champion_digest: str | None
    policy_digest: str


class ModelVersion(Value):
    """A registered model version."""

    name: str
    version: int
    mlflow_run_id: str
    model_uri: str
    checkpoint_digest: str
    aliases: tuple[str, ...] = ()
