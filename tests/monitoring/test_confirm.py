"""Stage 2: wrong verdicts are as rare as promised, and few labels are needed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.monitoring.confirm import (
    confirm,
    first_verdict,
    risk_interval,
    risk_line,
    upper_bound,
)

LINE, ALPHA = 0.058, 0.05


def verdicts(risk, n=300, streams=300):
    found = []
    for seed in range(streams):
        losses = (np.random.default_rng(seed).random(n) < risk).astype(float)
        found.append(first_verdict(losses, LINE, ALPHA)[:2])
    return found


def share(found, verdict):
    return sum(one == verdict for one, _ in found) / len(found)


def test_harm_at_the_line_is_wrongly_confirmed_rarely_however_often_one_looks() -> None:
    assert share(verdicts(LINE), "harm") <= ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / 300)


def test_a_risk_above_the_line_is_wrongly_called_benign_rarely() -> None:
    assert share(verdicts(LINE + 0.005), "benign") <= ALPHA + 3 * np.sqrt(0.05 * 0.95 / 300)


@pytest.mark.parametrize(("risk", "kl_labels"), [(0.13, 84), (0.23, 19), (0.5, 5)])
def test_harm_needs_few_labels(risk, kl_labels) -> None:
    """Near log(1 / alpha) / KL(risk || line), what a bettor who knew the risk would need."""
    found = verdicts(risk, n=400, streams=80)
    assert share(found, "harm") > 0.95
    assert np.median([n for _, n in found]) <= 2 * kl_labels + 4


def test_the_interval_holds_at_every_number_of_labels() -> None:
    missed = 0
    for seed in range(80):
        losses = (np.random.default_rng(seed).random(60) < 0.2).astype(float)
        intervals = [risk_interval(losses[:n], ALPHA) for n in (1, 5, 10, 20, 40, 60)]
        missed += any(not low - 0.01 <= 0.2 <= high + 0.01 for low, high in intervals)
    assert missed / 80 <= ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / 80)


def test_a_risk_at_the_end_of_the_scale_lies_in_its_interval() -> None:
    low, high = risk_interval(np.ones(40), ALPHA)
    assert (low > 0.8, high) == (True, 1.0)
    low, high = risk_interval(np.zeros(40), ALPHA)
    assert (low, high < 0.2) == (0.0, True)


def test_a_verdict_is_not_taken_back_by_later_labels() -> None:
    early = confirm([1.0] * 5, line=LINE, alpha=ALPHA)
    late = confirm([1.0] * 5 + [0.0] * 300, line=LINE, alpha=ALPHA)
    assert early.verdict == late.verdict == "harm"
    assert late.decided_after == early.decided_after < 5
    assert (early.n, late.n) == (5, 305)


@given(st.lists(st.floats(0, 1), max_size=60), st.floats(0.001, 0.9), st.floats(0.01, 0.2))
def test_any_losses_give_a_verdict(losses, line, alpha) -> None:
    found = confirm(losses, line=line, alpha=alpha)
    assert found.n <= len(losses)
    assert 0.0 <= found.ci_low <= found.ci_high <= 1.0
    assert found.verdict == "open" or found.n > 0


def test_graded_losses_are_judged_too() -> None:
    losses = np.random.default_rng(0).beta(4, 4, 80)
    assert confirm(losses, line=0.2, alpha=ALPHA).verdict == "harm"
    assert confirm(losses * 0.05, line=0.2, alpha=ALPHA).verdict == "benign"


def test_the_bound_of_the_base_risk_covers_it() -> None:
    covered = [
        upper_bound((np.random.default_rng(s).random(200) < 0.04).astype(float), 0.95) >= 0.04
        for s in range(300)
    ]
    assert np.mean(covered) >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 300)
    assert upper_bound(np.empty(0), 0.95) == 1.0
    assert upper_bound(np.ones(10), 0.95) == 1.0
    assert 0.3 < upper_bound(np.full(500, 0.3), 0.95) < 0.35
    assert risk_line(np.zeros(100), tolerated=0.02, confidence=0.95) == pytest.approx(
        0.0495, abs=1e-3
    )
