"""The sections of ``params.yaml`` that follow a training: predict, evaluate, gate, register."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, FiniteFloat

from pipeline_steps.section import Axis, Positive, Section, Share


class PredictParams(Section):
    """How a checkpoint is run over a dataset."""

    batch_tokens: Positive = 4_096
    """Tokens in a batch, padding included."""
    precision: Literal["auto", "fp32", "bf16"] = "fp32"
    """fp32 gives the same logits whatever the batch."""


class EvaluateParams(Section):
    """Metrics and their intervals."""

    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    """Coverage of the intervals."""
    bootstrap_resamples: Positive = 1_000
    """Resamples behind each interval."""
    seed: int = 0
    """Same seed, same intervals."""
    calibration_bins: Positive = 15
    """Bins of the expected calibration error."""
    slice_columns: tuple[str, ...] = ("domain", "group", "source")
    """Columns whose values are reported one by one."""
    min_slice_rows: Positive = 20
    """Rows; a smaller slice is not reported."""
    max_slices: Positive = 30
    """Slices reported for a column, the largest first."""


class GateParams(Section):
    """What a candidate must show before it may become champion."""

    floors: dict[Axis, FiniteFloat] = Field(default={"test/accuracy": 0.5})
    """SUITE/METRIC: value that the candidate must reach."""
    superiority: tuple[Axis, ...] = ("test/accuracy",)
    """SUITE/METRIC in which the candidate must beat the champion."""
    non_inferiority: dict[Axis, FiniteFloat] = Field(default={})
    """SUITE/METRIC: margin by which the candidate may be worse than the champion there."""
    default_margin: Share = 0.03
    """Margin of every suite that non_inferiority does not name (its first metric, absolute)."""
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """Significance level of the comparisons."""
    min_rows: Positive = 50
    """Rows of a suite; with fewer the gate is inconclusive."""


class RegisterParams(Section):
    """Where a checkpoint is registered."""

    model_name: str = Field(default="holdfast", pattern=r"^[A-Za-z0-9_-]+$")
    """Name of the registered model; versions count up under it."""
    experiment: str = "holdfast"
    """MLflow experiment of the runs."""
