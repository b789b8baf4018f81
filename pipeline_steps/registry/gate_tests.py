"""The questions about differences that the gate asks: not worse, shown to be worse, better."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from pipeline_steps.comparison_types import PairedComparison, PairedDifference
from pipeline_steps.errors import counted
from pipeline_steps.evaluation_types import EvaluationReport
from pipeline_steps.gate_types import GateCheck, SeedNoise
from pipeline_steps.judging_params import GateParams
from pipeline_steps.registry.gate_axes import (
    find_difference,
    may_be_unsure,
    non_inferiority_margins,
)
from pipeline_steps.registry.more_rows import more_rows, more_rows_for_gain
from pipeline_steps.registry.selection import corrected_gain

_NORMAL = NormalDist()
_SMALLEST_P = 0.0001
GAIN = "superiority "
"""What the name of each check of a gain begins with, before its axis."""


@dataclass(frozen=True)
class Harm:
    """One axis on which the candidate may not be worse; gains are signed so that more is better.

    ``must_pass``: whether being unsure is in the way, or only being shown to be worse.
    """

    axis: str
    difference: PairedDifference
    margin: float
    confidence: float
    must_pass: bool = True

    @property
    def ends(self) -> tuple[float, float, float]:
        """Gain, lower and upper end of its interval."""
        d = self.difference
        if d.greater_is_better:
            return d.difference, d.ci_low, d.ci_high
        return -d.difference, -d.ci_high, -d.ci_low

    @property
    def error(self) -> float:
        """The standard error of the difference, from its interval."""
        return standard_error(self.difference, self.confidence)

    @property
    def passed(self) -> bool:
        """Whether the interval lies above minus the margin."""
        return self.ends[1] >= -self.margin

    @property
    def p_worse(self) -> float:
        """One-sided p-value of "it is worse"; by the normal law where none was computed."""
        if self.difference.p_worse is not None:
            return self.difference.p_worse
        gain, error = self.ends[0], self.error
        if error <= 0.0:
            return 0.0 if gain < 0.0 else 1.0
        return _NORMAL.cdf(gain / error)

    def check(self, *, worse: bool) -> GateCheck:
        """Return what the gate's table says, given whether harm is shown."""
        words = "is not worse by more than the margin"
        if not self.passed:
            unsure = "could be worse by more than the margin"
            allowed = "is not shown to be worse, on rows too few to rule it out"
            words = unsure if self.must_pass else allowed
            words = "is shown to be worse" if worse else words
        reason = f"{self.axis} {with_interval(self.difference)} {words}; margin {self.margin:.4f}"
        return difference_check(
            f"non-inferiority {self.axis}",
            self.difference,
            self.margin,
            passed=self.passed or not (worse or self.must_pass),
            reason=reason,
        )

    def rows_wanted(self) -> str:
        """Return about how many more rows would decide."""
        d = self.difference
        more = more_rows(self.ends[0], self.error, self.margin, d.n, self.confidence)
        if more is None:
            return f"{self.axis}: more rows would not decide; the difference lies at the margin"
        return f"{self.axis}: about {counted(more, 'more row')} would decide"


def harms(
    reports: Sequence[EvaluationReport],
    comparisons: Sequence[PairedComparison],
    policy: GateParams,
) -> list[Harm]:
    """Return every axis and slice on which the candidate may not be worse."""
    found = []
    for axis, margin in non_inferiority_margins(reports, comparisons, policy).items():
        pair = find_difference(comparisons, axis)
        if pair is not None:  # integrity has refused it otherwise
            must_pass = axis in policy.non_inferiority or not may_be_unsure(pair[0].suite, policy)
            found.append(Harm(axis, pair[1], margin, pair[0].confidence, must_pass))
    for comparison in comparisons:
        found += _slices(comparison, policy)
    return found


def shown_worse(tests: Sequence[Harm], policy: GateParams) -> set[str]:
    """Return the axes on which harm is shown, and beyond what the margin allows.

    At the level of the intervals: on each axis alone, or under ``policy.holm`` over all of them.
    """
    if not tests:
        return set()
    level = (1.0 - tests[0].confidence) / 2.0
    p_values = {test.axis: test.p_worse for test in tests}
    if policy.holm:
        fallen = holm(p_values, level)
    else:
        fallen = {axis: p < level for axis, p in p_values.items()}
    return {test.axis for test in tests if fallen[test.axis] and not test.passed}


def harm_level(tests: Sequence[Harm], policy: GateParams) -> float:
    """Return below which p-value harm is shown on the axis where it is plainest."""
    if not tests:
        return 0.0
    level = (1.0 - tests[0].confidence) / 2.0
    return level / len(tests) if policy.holm else level


def gains(
    comparisons: Sequence[PairedComparison],
    axes: Sequence[str],
    policy: GateParams,
    alpha: float,
    noise: Mapping[str, SeedNoise],
) -> list[GateCheck]:
    """Return whether each axis shows a gain at ``alpha`` over all of them (Holm 1979)."""
    found = {axis: find_difference(comparisons, axis) for axis in axes}
    tested = {axis: pair for axis, pair in found.items() if pair is not None}
    shown = holm({axis: _p_value(pair[1]) for axis, pair in tested.items()}, alpha)
    return [
        _gain_check(axis, pair, shown[axis], noise.get(axis), policy, alpha / len(tested))
        for axis, pair in tested.items()
    ]


def rows_for_gains(
    comparisons: Sequence[PairedComparison], tested: Sequence[GateCheck], alpha: float
) -> dict[str, str]:
    """Return, of each axis without a shown gain, about how many more rows would show one."""
    axes = [check.name.removeprefix(GAIN) for check in tested if check.corrected is None]
    pairs = {axis: find_difference(comparisons, axis) for axis in axes}
    return {
        axis: _rows_for_gain(axis, *pair, alpha / len(tested))
        for axis, pair in pairs.items()
        if pair is not None and alpha > 0.0
    }


def holm(p_values: Mapping[str, float], alpha: float) -> dict[str, bool]:
    """Return which hypotheses fall; after the first that stands, none does (Holm 1979).

    Where nothing of alpha is left, none falls, whatever its p-value.
    """
    fallen = dict.fromkeys(p_values, False)
    for rank, axis in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        if not (alpha > 0.0 and p_values[axis] <= alpha / (len(p_values) - rank)):
            break
        fallen[axis] = True
    return fallen


def standard_error(difference: PairedDifference, confidence: float) -> float:
    """Return the standard error that the width of an interval of this coverage stands for."""
    z = _NORMAL.inv_cdf((1.0 + confidence) / 2.0)
    return (difference.ci_high - difference.ci_low) / (2.0 * z)


def with_interval(difference: PairedDifference) -> str:
    """Return a difference as it is written: signed, with its interval."""
    d = difference
    return f"{d.difference:+.4f} [{d.ci_low:+.4f}, {d.ci_high:+.4f}]"


def difference_check(
    name: str, difference: PairedDifference, margin: float | None, *, passed: bool, reason: str
) -> GateCheck:
    """Return a check that carries a paired difference."""
    return GateCheck(
        name=name,
        candidate=difference.candidate,
        champion=difference.champion,
        margin=margin,
        ci_low=difference.ci_low,
        ci_high=difference.ci_high,
        passed=passed,
        reason=reason,
        p_value=difference.p_value,
    )


def _slices(comparison: PairedComparison, policy: GateParams) -> list[Harm]:
    margin = policy.default_margin if policy.slice_margin is None else policy.slice_margin
    return [
        Harm(
            f"{comparison.suite}/{part.difference.name} where {part.column} is {part.value}",
            part.difference,
            margin,
            comparison.confidence,
            must_pass=policy.slice_margin is not None,
        )
        for part in comparison.slices
        if part.n >= policy.min_slice_rows
    ]


def _gain_check(
    axis: str,
    pair: tuple[PairedComparison, PairedDifference],
    shown: bool,
    noise: SeedNoise | None,
    policy: GateParams,
    alpha: float,
) -> GateCheck:
    comparison, d = pair
    gain = d.difference if d.greater_is_better else -d.difference
    small = noise is not None and gain <= math.sqrt(2.0) * noise.std
    told = not policy.beyond_seeds or (noise is not None and not small)
    words = "a gain is shown" if shown else "no gain is shown"
    reason = f"{axis} {with_interval(d)}: {words} ({_written(_p_value(d))})"
    corrected = None
    if shown:
        corrected = corrected_gain(gain, standard_error(d, comparison.confidence), alpha)
        reason += f"; about {corrected:+.4f} without the luck of having been picked"
    if small and noise is not None:
        reason += (
            f"; another seed may bring as much (standard deviation {noise.std:.4f} over "
            f"{counted(noise.runs, 'run')}, {noise.source})"
        )
    if noise is None and policy.beyond_seeds:
        reason += "; what another seed brings is not known"
    check = difference_check(f"{GAIN}{axis}", d, None, passed=shown and told, reason=reason)
    return check.model_copy(update={"corrected": corrected})


def _rows_for_gain(
    axis: str, comparison: PairedComparison, d: PairedDifference, alpha: float
) -> str:
    gain = d.difference if d.greater_is_better else -d.difference
    more = more_rows_for_gain(gain, standard_error(d, comparison.confidence), alpha, d.n)
    if more is None:
        return f"{axis}: of so little no number of rows is likely to show a gain"
    return f"{axis}: about {counted(more, 'more row')} would show a gain, if it is what was seen"


def _written(p_value: float) -> str:
    return f"p = {p_value:.4f}" if p_value >= _SMALLEST_P else f"p < {_SMALLEST_P}"


def _p_value(difference: PairedDifference) -> float:
    return 1.0 if difference.p_value is None else difference.p_value
