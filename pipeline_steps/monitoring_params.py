"""The section ``monitor`` of ``params.yaml``: how traffic is watched, which harm is tolerated."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from pipeline_steps.section import Positive, Section, Share

STANDING_ROWS = 20_000
"""Rows of the standing draw that are kept, and that are drawn in a month where nobody is asked."""
_LEAST_THRESHOLD = 100.0
"""Rows; below, alarms follow each other without meaning."""


class WorthParams(Section):
    """What an error and a retrain cost, in one currency of your own."""

    error_cost: float = Field(default=0.0, ge=0.0)
    """Cost of one wrong answer; 0: whether a retrain pays is not asked."""
    minute_cost: float = Field(default=1.0, ge=0.0)
    """Cost of one minute of retraining."""
    label_cost: float = Field(default=0.0, ge=0.0)
    """Cost of one label."""
    recovered: Share = 0.5
    """Share of the excess risk that a retrain is expected to take away."""
    review_days: float = Field(default=30.0, gt=0.0)
    """Days until somebody looks anyway: savings are counted so far."""
    hysteresis: Share = 0.02
    """By how much the measured risk must be above the line soon after a retrain."""
    hysteresis_days: float = Field(default=14.0, ge=0.0)
    """Days after a retrain that count as soon."""


class MonitorParams(Section):
    """How traffic is watched, and what harm is tolerated."""

    false_alarms_a_month: float = Field(default=1.0, gt=0.0)
    """Alarms without drift that you accept in a month, on average at the most."""
    rows_a_month: Positive = 100_000
    """Rows of traffic in a month, repeats left out; more than these break the promise above."""
    window_rows: Positive = 1_000
    """Rows of a report at the most; the detector looks at each row whatever the window."""
    least_rows: Positive = 20
    """Rows of a window that may be called free of drift; with fewer it is not testable."""
    bag_rows: Positive = 100_000
    """Rows that a score is ranked among at the most, reference included; fewer by many strata."""
    embeddings: Literal["off", "base_model"] = "off"
    """base_model: the distance to training rows is a score too; each new text is embedded once."""
    strata: Literal["none", "segment", "hour", "hour_of_week"] = "none"
    """Rows are compared only with those of the same segment, or hour of the day or week (UTC)."""
    session_column: str | None = "session"
    """What says which rows belong together: session (of requests) or an input; null: nothing."""
    tolerated_harm: Share = 0.02
    """By how much the risk (share of errors) may be above that on held-out rows."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    """Of the upper bound of the risk on held-out rows, from which the line is drawn."""
    alpha: float = Field(default=0.05, gt=0.0, lt=0.5)
    """Bound on the share of tickets with a wrong verdict."""
    labels_at_a_time: Positive = 10
    """Rows of a ticket that wait for their label at once."""
    label_cap: Positive = 400
    """Labels that one ticket may ask for; then it ends unclear."""
    labels_to_train: int = Field(default=100, ge=0)
    """Labels that a harmful ticket goes on to ask for, at least what a retrain needs; 0: none."""
    pool_rows: Positive = 2_000
    """Newest rows after the alarm that labels are drawn among, and that a benign ticket accepts."""
    same_cause_hours: float = Field(default=24.0, ge=0.0)
    """Hours in which an alarm for the same cause joins a ticket that has ended."""
    standing_labels: Share = 0.0
    """Share of rows whose label is asked for without an alarm; 0: only those that come anyway."""
    standing_alarms_a_month: float = Field(default=0.1, ge=0.0)
    """Alarms by labels without harm that you accept in a month, besides the others; 0: no such."""
    explain: Literal["alarms", "always"] = "alarms"
    """Windows whose report says what moved: those above the line, or all; tickets always do."""
    evidently: Literal["incidents", "windows", "off"] = "incidents"
    """What Evidently draws: incidents; windows: each window too, at half a second; off: nothing."""
    seed: int = 0
    """Same seed, same draws."""
    worth: WorthParams = WorthParams()
    """What an error and a retrain cost."""

    @property
    def threshold(self) -> float:
        """Expected rows to a false alarm, at the least."""
        return self.rows_a_month / self.false_alarms_a_month

    @property
    def standing_share(self) -> float:
        """Share of rows that are drawn for the standing test of labels, asked for or not."""
        unasked = min(1.0, STANDING_ROWS / self.rows_a_month)
        return (self.standing_labels or unasked) if self.standing_alarms_a_month else 0.0

    @property
    def standing_threshold(self) -> float:
        """Expected drawn rows to a false alarm by labels, at the least."""
        if not self.standing_alarms_a_month:
            return math.inf
        rows = self.standing_share * self.rows_a_month
        return max(rows / self.standing_alarms_a_month, _LEAST_THRESHOLD)

    @model_validator(mode="after")
    def _budget_is_an_expectation(self) -> MonitorParams:
        if self.threshold < _LEAST_THRESHOLD:
            raise ValueError(
                f"false_alarms_a_month: {self.false_alarms_a_month:g} in {self.rows_a_month} rows "
                "is more than one alarm in 100 rows"
            )
        return self
