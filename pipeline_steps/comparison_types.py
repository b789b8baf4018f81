"""The nouns of a comparison: two checkpoints on the same rows, in quality and in cost."""

from __future__ import annotations

from pipeline_steps.evaluation_types import LeftOutSlices, MetricValue
from pipeline_steps.types import Value


class PairedDifference(Value):
    """Candidate minus champion in one metric over the same rows.

    ``p_value`` is that of "the candidate is better", ``p_worse`` that of "it is worse"; both are
    one-sided. ``resolution``: below it neither can come out, where they were drawn.
    """

    name: str
    candidate: float
    champion: float
    difference: float
    ci_low: float
    ci_high: float
    p_value: float | None
    n: int
    greater_is_better: bool = True
    p_worse: float | None = None
    resolution: float = 0.0


class PairedSlice(Value):
    """Two checkpoints on the rows that share one value of one column, in the first headline."""

    column: str
    value: str
    n: int
    difference: PairedDifference


class LabelChurn(Value):
    """Of the rows with one truth: how many changed their answer, and how many for the worse."""

    label: str
    n: int
    n_changed: int
    n_lost: int


class Churn(Value):
    """How two checkpoints' answers differ on the same rows; ``flips``: (champion, candidate, n)."""

    n: int
    churn: MetricValue
    negative_flips: MetricValue
    positive_flips: MetricValue
    n_both_right: int
    n_both_wrong: int
    n_both_wrong_differently: int
    labels: tuple[LabelChurn, ...] = ()
    flips: tuple[tuple[str, str, int], ...] = ()


class PairedComparison(Value):
    """Two checkpoints on the same rows of one suite.

    ``worst_group`` is the lowest score of the candidate's slices minus that of the champion's,
    ``left_out`` which values were no slices though they have the rows for it.
    ``confidence`` is the coverage of the intervals, ``*_predictions`` the digests of what was
    read, ``*_code`` the version of the code that predicted it (empty: unknown).
    """

    suite: str
    dataset_digest: str
    candidate_digest: str
    champion_digest: str
    n: int
    n_only_candidate_correct: int
    n_only_champion_correct: int
    differences: tuple[PairedDifference, ...]
    headline: str = "accuracy"
    churn: Churn | None = None
    slices: tuple[PairedSlice, ...] = ()
    worst_group: PairedDifference | None = None
    left_out: tuple[LeftOutSlices, ...] = ()
    confidence: float = 0.95
    candidate_predictions: str = ""
    champion_predictions: str = ""
    candidate_code: str = ""
    champion_code: str = ""

    @property
    def every_difference(self) -> tuple[PairedDifference, ...]:
        """All differences over all rows, that of the worst group behind them."""
        return (*self.differences, *(() if self.worst_group is None else (self.worst_group,)))


class Cost(Value):
    """What one checkpoint costs: median and 95th percentile of one row's latency, and its size."""

    checkpoint_digest: str
    latency_ms: float
    latency_p95_ms: float
    size_bytes: int


class CostComparison(Value):
    """Two checkpoints on the same rows in turn, in one process of one machine.

    ``latency_ratio`` is the median over rows of candidate over champion.
    """

    candidate: Cost
    champion: Cost
    n: int
    latency_ratio: float
    ratio_low: float
    ratio_high: float
    machine: str

    @property
    def size_ratio(self) -> float:
        """Bytes of the candidate over those of the champion."""
        return self.candidate.size_bytes / self.champion.size_bytes
