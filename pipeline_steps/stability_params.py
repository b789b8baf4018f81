"""Sections of ``finetune``: averages, recovery, the way back to the base, few rows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipeline_steps.section import Positive, Section, Share

_BelowOne = Annotated[float, Field(ge=0.0, lt=1.0)]


class EmaParams(Section):
    """Exponential average of the weights (Polyak & Juditsky 1992)."""

    kind: Literal["ema"]
    """ema (exponential) or swa (uniform over the last part)."""
    decay: _BelowOne = 0.99
    """Share of the average that stays at each step; it looks back 1 / (1 - decay) steps."""


class SwaParams(Section):
    """Uniform average over the last part of a run (Izmailov et al. 2018)."""

    kind: Literal["swa"]
    """Uniform average over the last part of a run (Izmailov et al. 2018)."""
    start_fraction: _BelowOne = 0.5
    """Share of the steps before the first weights are taken in."""
    every_steps: Positive = 10
    """Steps from one taking to the next."""


AveragingParams = Annotated[EmaParams | SwaParams, Field(discriminator="kind")]


class RecoveryParams(Section):
    """What to do when the loss explodes or is no number."""

    rate_factor: float = Field(default=0.5, gt=0.0, lt=1.0)
    """The learning rates are multiplied by it at each return to the last good checkpoint."""
    max_returns: Positive = 3
    """Returns before the run is given up."""


class WiseFtParams(Section):
    """Interpolation with the base after training (WiSE-FT, Wortsman et al. 2022)."""

    alpha: Share = 0.5
    """0: the base's weights under the tuned head, 1: the tuned weights."""
    alphas: tuple[Share, ...] | None = Field(default=None, min_length=1)
    """Of these the best on the valid rows is taken; null: alpha is taken."""


class FewShotParams(Section):
    """Learning from pairs of few texts, then a head on frozen vectors (Tunstall et al. 2022)."""

    n_iterations: Positive = 2
    """Pairs of each kind (same label, another label) for a row in an epoch."""
    epochs: Positive = 1
    """Passes over the pairs."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """Peak for the encoder; linear warm-up, then linear decay."""
    inverse_penalty: float = Field(default=1.0, gt=0)
    """C of the logistic head; larger trusts the rows more."""
