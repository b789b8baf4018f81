"""Where p-values were drawn too coarsely for what the gate asks: that is no evidence either way."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeline_steps.comparison_types import PairedComparison
from pipeline_steps.judging_params import GateParams
from pipeline_steps.registry.gate_axes import find_difference
from pipeline_steps.registry.gate_tests import Harm, harm_level


def unresolved_harm(tests: Sequence[Harm], policy: GateParams) -> tuple[str, ...]:
    """Return, of each axis where no swap shows a loss as large, why that is still not enough.

    An axis that is not worse by more than its margin is none of them.
    """
    level = harm_level(tests, policy)
    return tuple(
        _words(test.axis, "harm", level)
        for test in tests
        if not test.passed
        and level < test.p_worse <= test.difference.resolution  # the smallest that can come out
    )


def unresolved_gains(
    comparisons: Sequence[PairedComparison], axes: Sequence[str], alpha: float
) -> dict[str, str]:
    """Return, of each axis where no swap shows a gain as large, why that is still not enough."""
    found = {axis: find_difference(comparisons, axis) for axis in axes}
    level = alpha / max(1, sum(pair is not None for pair in found.values()))
    return {
        axis: _words(axis, "a gain", level)
        for axis, pair in found.items()
        if pair is not None
        and pair[1].p_value is not None
        and 0.0 < level < pair[1].p_value <= pair[1].resolution
    }


def _words(axis: str, what: str, level: float) -> str:
    return (
        f"{axis}: none of the random swaps shows as much, but {what} is shown at p = {level:.2g}, "
        f"for which they are too few: set evaluate.max_swaps to {math.ceil(1.0 / level)} or more"
    )
