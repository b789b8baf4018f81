"""Alarms that come when they should and hardly otherwise, and the way back to what was good."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from pipeline_steps.training.divergence import (
    AlarmRule,
    Continue,
    GiveUp,
    LossState,
    RecoveryRule,
    RecoveryState,
    Return,
    after_checkpoint,
    after_loss,
    judge_loss,
)

QUIET = AlarmRule(warm_up=4, min_rise=0.0)


def verdicts(losses, rule: AlarmRule = QUIET) -> list[str]:
    state, found = LossState(), []
    for loss in losses:
        state, verdict = judge_loss(state, float(loss), rule)
        found.append(verdict)
    return found


def test_mean_and_deviation_by_hand() -> None:
    """Until 1 / (1 - decay) losses are there, they are the plain ones."""
    state = LossState()
    for loss in (1.0, 2.0, 6.0):
        state, _ = judge_loss(state, loss, AlarmRule())
    assert state.mean == pytest.approx(3.0)
    assert state.variance == pytest.approx(np.var([1.0, 2.0, 6.0]))
    last, _ = judge_loss(LossState(100, 1.0, 0.25), 2.0, AlarmRule(decay=0.9))
    assert last.mean == pytest.approx(0.9 * 1.0 + 0.1 * 2.0)
    assert last.variance == pytest.approx(0.9 * (0.25 + 0.1 * 1.0**2))


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_alarms_at_once(loss) -> None:
    assert verdicts([loss]) == ["not_finite"]


def test_an_explosion_alarms_at_its_third_loss() -> None:
    losses = [1.0, 1.2, 0.9, 1.1, 1.0, 8.0, 9.0, 10.0]
    assert verdicts(losses) == ["fine"] * 5 + ["strange", "strange", "exploded"]


def test_a_single_spike_is_forgiven_and_forgotten() -> None:
    losses = [1.0, 1.2, 0.9, 1.1, 8.0, 9.0, 1.0, 8.0, 9.0, 1.0]
    assert "exploded" not in verdicts(losses)


def test_nothing_is_judged_before_the_rule_has_seen_enough() -> None:
    assert verdicts([1.0, 1.0, 50.0, 60.0]) == ["fine"] * 4


def test_a_falling_loss_is_fine() -> None:
    assert set(verdicts(5 * 0.99 ** np.arange(2000), AlarmRule())) == {"fine"}


def test_hard_rows_after_learning_by_heart_are_no_explosion() -> None:
    losses = [1e-6] * 100 + [0.3, 0.3, 0.3, 0.3]
    assert set(verdicts(losses, AlarmRule())) == {"fine"}
    assert "exploded" in verdicts(losses, AlarmRule(min_rise=0.0))


DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda g, n: g.normal(1.0, 1.0, n),
    "exponential": lambda g, n: g.exponential(1.0, n),
    "lognormal": lambda g, n: g.lognormal(0.0, 1.0, n),
    # The distribution for which Cantelli's bound is sharp, at six deviations.
    "worst": lambda g, n: np.where(g.random(n) < 1 / 37, 6.0, -1 / 6),
}


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
def test_false_alarms_are_as_rare_as_stated(name) -> None:
    """At most one step in 37**3 begins an alarm: about 2 in 100 000 steps, at worst."""
    losses = DISTRIBUTIONS[name](np.random.default_rng(0), 100_000)
    state, n_alarms = LossState(), 0
    for loss in losses.tolist():
        state, verdict = judge_loss(state, loss, AlarmRule(min_rise=0.0))
        if verdict == "exploded":
            n_alarms, state = n_alarms + 1, LossState()
    assert n_alarms <= 6


def run(losses: list[float], rule: RecoveryRule, checkpoint_every: int) -> list[tuple[int, object]]:
    """Return the actions other than going on, with the number of the loss."""
    state, actions = RecoveryState(), []
    for step, loss in enumerate(losses, start=1):
        state, action = after_loss(state, loss, rule)
        if action != Continue():
            actions.append((step, action))
        elif step % checkpoint_every == 0:
            state = after_checkpoint(state, step)
    return actions


RULE = RecoveryRule(alarm=QUIET, rate_factor=0.5, max_returns=2)


def test_a_run_returns_to_the_last_good_checkpoint_with_smaller_rates() -> None:
    losses = [1.0, 1.1, 0.9, 1.0, 1.1, math.nan]
    assert run(losses, RULE, 2) == [(6, Return(4, 0.5, "not_finite"))]


def test_without_a_checkpoint_a_run_starts_anew() -> None:
    assert run([math.nan], RULE, 2) == [(1, Return(0, 0.5, "not_finite"))]


def test_a_checkpoint_amid_strange_losses_is_not_good() -> None:
    losses = [1.0, 1.1, 0.9, 1.0, 1.1, 50.0, 60.0, 70.0]
    assert run(losses, RULE, 2) == [(8, Return(4, 0.5, "exploded"))]


def test_after_as_many_returns_as_allowed_the_run_is_given_up() -> None:
    nan = math.nan
    assert run([nan, nan, nan], RULE, 9) == [
        (1, Return(0, 0.5, "not_finite")),
        (2, Return(0, 0.25, "not_finite")),
        (3, GiveUp("not_finite", 2)),
    ]


def test_a_state_is_never_changed_in_place() -> None:
    state = RecoveryState()
    after_loss(state, 1.0, RULE)
    after_checkpoint(state, 5)
    assert state == RecoveryState()
