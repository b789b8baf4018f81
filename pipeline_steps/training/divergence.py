"""When a run has gone astray, and what to do then: pure functions from a state to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal


@dataclass(frozen=True)
class AlarmRule:
    """A loss is strange above ``mean + max(n_deviations * deviation, min_rise)``.

    An alarm is several strange losses in a row.

    Mean and deviation are exponentially weighted over the losses that were not strange.

    How often it alarms without cause: for losses that are independent and drawn alike, Cantelli's
    inequality bounds the share of strange ones by ``1 / (1 + n_deviations ** 2)`` whatever their
    distribution, so an alarm begins at a given step with probability at most
    ``(1 / (1 + n_deviations ** 2)) ** in_a_row``: 2e-5 by default, once in 50 000 steps at worst.
    That holds for the true mean and deviation; they are estimated from about ``1 / (1 - decay)``
    losses, which is why ``warm_up`` must not be small. A falling loss makes alarms rarer still,
    since the mean lags above it. A loss that is no number alarms at once.

    Parameters
    ----------
    decay : float
        Share of mean and variance that stays at each loss.
    n_deviations : float
        How far above the mean a loss is strange.
    min_rise : float
        How far above the mean at least, in units of the loss: once rows are learnt by heart the
        deviation is next to nothing, and a batch with a hard row is no explosion.
    in_a_row : int
        Strange losses that make an alarm.
    warm_up : int
        Losses before the first judgement.
    """

    decay: float = 0.98
    n_deviations: float = 6.0
    min_rise: float = 0.5
    in_a_row: int = 3
    warm_up: int = 50


@dataclass(frozen=True)
class LossState:
    """What is known of the losses so far.

    Parameters
    ----------
    n_losses : int
        Losses that were not strange.
    mean, variance : float
        Exponentially weighted, in units of the loss and its square.
    n_strange : int
        Strange losses in a row until now.
    """

    n_losses: int = 0
    mean: float = 0.0
    variance: float = 0.0
    n_strange: int = 0


Verdict = Literal["fine", "strange", "exploded", "not_finite"]


def judge_loss(state: LossState, loss: float, rule: AlarmRule) -> tuple[LossState, Verdict]:
    """Return the next state and what is to be thought of the loss of one step.

    Examples
    --------
    >>> judge_loss(LossState(), float("nan"), AlarmRule())[1]
    'not_finite'
    """
    if not math.isfinite(loss):
        return state, "not_finite"
    if _is_strange(state, loss, rule):
        n_strange = state.n_strange + 1
        verdict: Verdict = "exploded" if n_strange >= rule.in_a_row else "strange"
        return replace(state, n_strange=n_strange), verdict
    return _taken_in(state, loss, rule.decay), "fine"


def _is_strange(state: LossState, loss: float, rule: AlarmRule) -> bool:
    if state.n_losses < rule.warm_up:
        return False
    rise = max(rule.n_deviations * math.sqrt(state.variance), rule.min_rise)
    return loss > state.mean + rise


def _taken_in(state: LossState, loss: float, decay: float) -> LossState:
    n_losses = state.n_losses + 1
    # Plain averages until as many losses as the weighting looks back on are there.
    share = max(1 - decay, 1 / n_losses)
    difference = loss - state.mean
    return LossState(
        n_losses=n_losses,
        mean=state.mean + share * difference,
        variance=(1 - share) * (state.variance + share * difference**2),
    )


@dataclass(frozen=True)
class RecoveryRule:
    """What to do after an alarm.

    Parameters
    ----------
    alarm : AlarmRule
        When to act.
    rate_factor : float
        The learning rates are multiplied by it at each return.
    max_returns : int
        Returns to a checkpoint before the run is given up.
    """

    alarm: AlarmRule = field(default_factory=AlarmRule)
    rate_factor: float = 0.5
    max_returns: int = 3


@dataclass(frozen=True)
class RecoveryState:
    """Where a run stands.

    Parameters
    ----------
    losses : LossState
        The losses since the last return.
    n_returns : int
        Returns until now.
    rate_factor : float
        What the learning rates are multiplied by now.
    good_step : int
        Step of the last checkpoint that was written while all was well; 0: the beginning.
    """

    losses: LossState = field(default_factory=LossState)
    n_returns: int = 0
    rate_factor: float = 1.0
    good_step: int = 0


@dataclass(frozen=True)
class Continue:
    """Go on."""


@dataclass(frozen=True)
class Return:
    """Load the checkpoint of ``step`` (0: start anew) and multiply all rates by ``rate_factor``."""

    step: int
    rate_factor: float
    reason: Verdict


@dataclass(frozen=True)
class GiveUp:
    """Stop: the returns are used up."""

    reason: Verdict
    n_returns: int


Action = Continue | Return | GiveUp


def after_loss(
    state: RecoveryState, loss: float, rule: RecoveryRule
) -> tuple[RecoveryState, Action]:
    """Return the next state and what to do after the loss of one step.

    A return forgets the losses: under smaller rates they start over.
    """
    losses, verdict = judge_loss(state.losses, loss, rule.alarm)
    if verdict in ("fine", "strange"):
        return replace(state, losses=losses), Continue()
    if state.n_returns >= rule.max_returns:
        return replace(state, losses=losses), GiveUp(verdict, state.n_returns)
    returned = RecoveryState(
        n_returns=state.n_returns + 1,
        rate_factor=state.rate_factor * rule.rate_factor,
        good_step=state.good_step,
    )
    return returned, Return(returned.good_step, returned.rate_factor, verdict)


def after_checkpoint(state: RecoveryState, step: int) -> RecoveryState:
    """Return the next state after a checkpoint was written; amid strange losses it is not good."""
    return state if state.losses.n_strange else replace(state, good_step=step)
