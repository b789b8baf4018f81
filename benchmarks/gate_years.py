"""Simulated years of weekly retrains: paired rows, one rule beside the other, every look vectorised.

A row of the test set has a probability of being answered rightly by a training of the recipe,
drawn from a beta distribution that is U-shaped, as found between seeds: most rows are always right
or always wrong, two trainings differ on 6 in 100. A better recipe raises these probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binom

from pipeline_steps.evaluation.intervals import tango_interval, two_sided_z
from pipeline_steps.registry.selection import corrected_gain

Array = np.ndarray[Any, Any]
ALPHA, WEEKS, MARGIN, CONFIDENCE = 0.05, 52, 0.03, 0.95
ACCURACY, CONCENTRATION = 0.9, 0.5  # disagreement of two trainings: 2 * .9 * .1 / 3 = 0.06


@dataclass
class Years:
    """What one rule did in many years, each array (years,)."""

    champion: Array  # (years, n) bool: which rows it has right
    gain: Array  # the champion's true accuracy beyond the first one
    left: Array  # alpha that the account still holds
    investments: Array  # the week of the last promotion
    promoted: Array  # promotions so far
    false: Array  # of them without a true gain
    recorded: Array  # sum of the gains as they were measured
    corrected: Array  # sum of the gains as Holdfast writes them down
    true: Array  # sum of the true gains
    week: Array  # of the first promotion; 99: none
    looks: int = WEEKS  # that the account is planned for


Rule = Callable[[Years, Array, Array, int, int], tuple[Array, Array]]
"""(state, wins, losses, rows, week) -> promoted (years,) and the level it was tested at."""


def p_values(wins: Array, losses: Array) -> Array:
    """Return McNemar's exact one-sided p-values, as the gate computes them one by one."""
    n = wins + losses
    return np.where(n > 0, binom.sf(wins - 1, n, 0.5), 1.0)


def not_inferior(wins: Array, losses: Array, n: int, margin: float = MARGIN) -> Array:
    """Return whether Tango's interval lies above minus the margin: the score test at that margin."""
    delta = -margin
    b = -wins - losses + (2 * n - wins + losses) * delta
    c = -losses * delta * (1 - delta)
    q = (np.sqrt(np.maximum(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    variance = n * (2 * q + delta * (1 - delta))
    return np.asarray(wins - losses - n * delta >= two_sided_z(CONFIDENCE) * np.sqrt(variance))


def _never(state: Years) -> Array:
    return np.zeros(len(state.gain))


def challenger_wins(state: Years, wins: Array, losses: Array, _n: int, _week: int) -> Any:
    return wins > losses, _never(state)


def fixed_margin(state: Years, wins: Array, losses: Array, n: int, _week: int) -> Any:
    return (wins - losses) / n >= 0.01, _never(state)


def uncorrected(state: Years, wins: Array, losses: Array, _n: int, _week: int) -> Any:
    return p_values(wins, losses) <= ALPHA, _never(state) + ALPHA


def _tested(wins: Array, losses: Array, n: int, level: Array) -> Any:
    return (p_values(wins, losses) <= level) & not_inferior(wins, losses, n), level


def holdfast(state: Years, wins: Array, losses: Array, n: int, week: int) -> Any:
    """1 / sqrt(k) of what is left; a promotion gives back what it spent."""
    shares = np.arange(week, state.looks + 1) ** -0.5
    level = state.left * shares[0] / shares.sum()
    promoted, _ = _tested(wins, losses, n, level)
    state.left -= np.where(promoted, 0.0, level)
    return promoted, level


def equal_shares(state: Years, wins: Array, losses: Array, n: int, _week: int) -> Any:
    return _tested(wins, losses, n, _never(state) + ALPHA / state.looks)


def squares(state: Years, wins: Array, losses: Array, n: int, week: int) -> Any:
    return _tested(wins, losses, n, _never(state) + ALPHA * 6 / math.pi**2 / week**2)


def investing(state: Years, wins: Array, losses: Array, n: int, week: int) -> Any:
    """Foster and Stine (2008), JRSS B 70: wealth / (1 + weeks since the last promotion)."""
    if week == 1:
        state.left[:] = ALPHA / 2
    level = state.left / (1 + week - state.investments)
    promoted, _ = _tested(wins, losses, n, level)
    state.left += np.where(promoted, ALPHA / 2, -level / (1 - level))
    state.left = np.maximum(state.left, 0.0)
    state.investments = np.where(promoted, week, state.investments)
    return promoted, level


RULES: Mapping[str, Rule] = {
    "challenger > champion": challenger_wins,
    "fixed margin of 1 point": fixed_margin,
    "uncorrected paired test": uncorrected,
    "Holdfast: 1/sqrt(k) of what is left": holdfast,
    "account: equal shares": equal_shares,
    "account: 1/k^2": squares,
    "account: alpha-investing": investing,
}
HOLDFAST = "Holdfast: 1/sqrt(k) of what is left"


def simulate(
    gains: Array, years: int, n: int, seed: int, rules: Mapping[str, Rule] = RULES
) -> dict[str, Years]:
    """Return what each rule did with the same candidates.

    Parameters
    ----------
    gains : ndarray (weeks + 1,)
        True accuracy of each week's recipe beyond the first champion's, which is entry 0.
    years, n, seed : int
        How many years, rows of the test set, and the stream of random numbers.
    rules : mapping
        Those that look.
    """
    generator = np.random.default_rng(seed)
    a, b = ACCURACY * CONCENTRATION, (1 - ACCURACY) * CONCENTRATION
    chances = generator.beta(a, b, size=(years, n)).astype(np.float32)
    first = _answers(chances, 0.0, generator)
    states = {name: _start(first, len(gains) - 1) for name in rules}
    for week in range(1, len(gains)):
        candidate = _answers(chances, float(gains[week]), generator)
        for name, rule in rules.items():
            _look(states[name], rule, candidate, float(gains[week]), week)
    return states


def together(parts: list[dict[str, Years]]) -> dict[str, Years]:
    """Return the years of several simulations as one; which rows were right is forgotten."""
    names = [name for name in Years.__dataclass_fields__ if name not in ("champion", "looks")]
    return {
        rule: Years(champion=np.zeros((0, 0)), **_joined([part[rule] for part in parts], names))
        for rule in RULES
    }


def _joined(parts: list[Years], names: list[str]) -> dict[str, Any]:
    return {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}


def standard_error(wins: int, losses: int, n: int) -> float:
    """Return the standard error that the gate reads off Tango's interval."""
    low, high = tango_interval(wins, losses, n, CONFIDENCE)
    return (high - low) / (2 * two_sided_z(CONFIDENCE))


def _answers(chances: Array, gain: float, generator: np.random.Generator) -> Array:
    moved = chances + (1 - chances) * (gain / (1 - ACCURACY)) if gain else chances
    return generator.random(chances.shape, dtype=np.float32) < moved


def _start(first: Array, looks: int) -> Years:
    others = ("champion", "week", "looks")
    names = [name for name in Years.__dataclass_fields__ if name not in others]
    zeros = {name: np.zeros(len(first)) for name in names}
    weeks = np.full(len(first), 99)
    state = Years(champion=first.copy(), week=weeks, looks=looks, **zeros)
    state.left += ALPHA
    return state


def _look(state: Years, rule: Rule, candidate: Array, gain: float, week: int) -> None:
    wins = (candidate & ~state.champion).sum(axis=1)
    losses = (~candidate & state.champion).sum(axis=1)
    n = candidate.shape[1]
    promoted, level = rule(state, wins, losses, n, week)
    true = gain - state.gain
    state.promoted += promoted
    state.false += promoted & (true <= 1e-12)
    state.true += np.where(promoted, true, 0.0)
    state.recorded += np.where(promoted, (wins - losses) / n, 0.0)
    if level.any():
        for year in np.flatnonzero(promoted):
            w, b = int(wins[year]), int(losses[year])
            error = standard_error(w, b, n)
            state.corrected[year] += corrected_gain((w - b) / n, error, float(level[year]))
    state.week = np.where(promoted & (state.week == 99), week, state.week)
    state.champion[promoted] = candidate[promoted]
    state.gain = np.where(promoted, gain, state.gain)
