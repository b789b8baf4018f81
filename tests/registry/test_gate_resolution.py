"""P-values that are drawn have a smallest one; the gate says so where it asks for less."""

from __future__ import annotations

import math

import numpy as np
import pytest
from gate_builders import comparison, report

from pipeline_steps.comparison_types import PairedComparison, PairedDifference, PairedSlice
from pipeline_steps.evaluation.answers import answered_rows
from pipeline_steps.evaluation.compare import paired_differences
from pipeline_steps.gate_types import Verdict
from pipeline_steps.judging_params import EvaluateParams, GateParams
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.registry.gate import gate

BALANCED = GateParams(floors={}, calibration_margin=None, looks=1)
HARMED = {"half_width": 0.02, "difference": -0.8, "n": 200}


def drawn(difference: PairedDifference, swaps: int, **keys: float) -> PairedDifference:
    """Return a difference whose tests drew so many swaps."""
    return difference.model_copy(update={"resolution": 1 / (1 + swaps), **keys})


def with_slices(n_slices: int, swaps: int) -> PairedComparison:
    """Return a comparison with one slice on which no swap shows as much harm, among others."""
    lost = drawn(comparison(**HARMED).differences[0], swaps, p_worse=1 / (1 + swaps))
    kept = drawn(comparison(difference=0.0, p_value=0.5).differences[0], swaps, p_worse=0.5)
    slices = [
        PairedSlice(column="domain", value=f"v{number}", n=200, difference=one)
        for number, one in enumerate([lost, *[kept] * (n_slices - 1)])
    ]
    return comparison().model_copy(update={"slices": tuple(slices)})


@pytest.mark.parametrize("n_slices", [20, 24, 25, 60, 200, 249])
def test_harm_that_no_swap_shows_is_shown_over_as_many_axes_as_the_swaps_allow(n_slices) -> None:
    found = gate([report()], [with_slices(n_slices, EvaluateParams().max_swaps)], BALANCED)
    assert found.verdict is Verdict.REJECT


def test_harm_that_the_swaps_are_too_few_to_show_lets_nothing_pass() -> None:
    found = gate([report()], [with_slices(30, 1000)], BALANCED)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reasons[0].startswith("test/accuracy where domain is v0: none of the random swaps")
    assert "set evaluate.max_swaps to 1240 or more" in found.reasons[0]
    assert gate([report()], [with_slices(24, 1000)], BALANCED).verdict is Verdict.REJECT


def test_a_gain_that_the_swaps_are_too_few_to_show_is_not_called_missing() -> None:
    policy = BALANCED.model_copy(update={"alpha": 0.01, "looks": 52})
    one = comparison()
    coarse = one.model_copy(
        update={"differences": (drawn(one.differences[0], 1000, p_value=1 / 1001),)}
    )
    found = gate([report()], [coarse], policy)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "a gain is shown at p = 0.00077" in found.reasons[-1]
    assert "set evaluate.max_swaps to 1304 or more" in found.reasons[-1]
    plain = coarse.model_copy(
        update={"differences": (drawn(one.differences[0], 1000, p_value=0.01),)}
    )
    assert gate([report()], [plain], policy).verdict is Verdict.HOLD


def test_a_plain_gain_in_entities_is_drawn_finer_than_the_last_look_of_strict_asks_for() -> None:
    problem, n = get_problem("ner"), 60
    truth = np.array(['["B-PER", "O"]'] * n, dtype=object)
    missed = np.array(['["O", "O"]'] * n, dtype=object)
    good, bad = (
        answered_rows(problem, truth, said, np.full(n, 0.9), 15) for said in (truth, missed)
    )
    found = {one.name: one for one in paired_differences(good, bad, EvaluateParams())}
    strict = GateParams(policy="strict")
    parts = [1 / math.sqrt(look) for look in range(1, strict.looks + 1)]
    last = strict.alpha * parts[-1] / sum(parts)
    assert found["entity_f1"].p_value == found["entity_f1"].resolution <= last
