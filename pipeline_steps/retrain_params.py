"""The section ``retrain`` of ``params.yaml``: when a model is trained anew, on which rows, how."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline_steps.section import Positive, Section, Share


class RowsParams(Section):
    """Which of the earlier training rows come along; those of the new window always do."""

    policy: Literal["all", "sliding", "recency", "similarity"] = "all"
    """all; sliding: the last `days`; recency, similarity: `keep` of them, drawn by weight."""
    days: Positive = 365
    """Days before the newest row; read where policy is sliding."""
    half_life_days: Positive = 90
    """Days after which a row counts half; read where policy is recency."""
    keep: float = Field(default=0.5, gt=0.0, le=1.0)
    """Share of the earlier rows that is drawn; read where policy is recency or similarity."""
    per_label: Positive = 5
    """Earlier rows of each label that come along whatever the policy, as far as there are any."""
    seed: int = 0
    """Same seed, same draw."""


class RetrainParams(Section):
    """What a trigger must bring, what is learnt then, and what it may cost."""

    learning: Literal["full", "continual"] = "full"
    """full: from the base, on all rows; continual: the champion goes on, and rehearses old rows."""
    replay_share: float = Field(default=0.5, gt=0.0, lt=1.0)
    """Share of earlier rows in an epoch of continual learning (against forgetting)."""
    rows: RowsParams = RowsParams()
    """Which of the earlier training rows come along."""
    min_rows: Positive = 100
    """Labelled rows that were never learnt from; with fewer a trigger waits."""
    held_back: float = Field(default=0.5, gt=0.0, lt=1.0)
    """Share of the window's labelled rows that champion and challenger are compared on."""
    valid_share: Share = 0.1
    """Share of the window's other rows that goes to valid."""
    kept_windows: int = Field(default=3, ge=0)
    """Held-back rows of so many earlier windows stay suites that every version is judged on."""
    cool_down_hours: float = Field(default=24.0, ge=0.0)
    """Hours between the end of one retrain and the admission of the next."""
    minutes_a_week: float = Field(default=600.0, gt=0.0)
    """Minutes of retraining in seven days; what would take more than is left of them waits."""
    failures_in_a_row: Positive = 3
    """Retrains that fixed nothing, after which a person must look (`holdfast retrain --resume`)."""
    repaired_within: Share = 0.05
    """The window is fixed if the new champion comes this near to its accuracy on the test set."""
