"""The gate: each verdict has its case, and whatever is missing, it never promotes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from gate_builders import POLICY, comparison, report
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.evaluation.intervals import tango_interval
from pipeline_steps.evaluation.paired_tests import mcnemar_p
from pipeline_steps.gate_types import Verdict
from pipeline_steps.judging_params import GateParams
from pipeline_steps.registry.gate import gate
from pipeline_steps.registry.more_rows import more_rows, more_rows_for_gain


def verdict(reports, comparisons, policy=POLICY) -> Verdict:
    return gate(reports, comparisons, policy).verdict


def check(decision, name: str):
    return next(check for check in decision.checks if check.name == name)


def test_a_first_version_is_promoted_when_every_floor_is_reached() -> None:
    decision = gate([report()], None, POLICY)
    assert decision.verdict is Verdict.PROMOTE
    assert decision.reasons == ("first version: every floor is reached",)


def test_a_first_version_below_a_floor_is_rejected() -> None:
    decision = gate([report(accuracy=0.6)], None, POLICY)
    assert decision.verdict is Verdict.REJECT
    assert "does not reach the floor 0.7000" in decision.reasons[0]


def test_a_first_version_under_a_policy_without_floors_is_rejected() -> None:
    """Nothing would have judged it."""
    decision = gate([report()], None, GateParams(floors={}))
    assert decision.verdict is Verdict.REJECT
    assert "gate.floors" in decision.reasons[0]


def test_a_first_version_on_few_rows_is_inconclusive() -> None:
    decision = gate([report(n=20)], None, POLICY)
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "rests on 20 rows, the policy asks for 50" in decision.reasons[0]


def test_a_floor_is_a_ceiling_where_less_is_better() -> None:
    policy = GateParams(floors={"test/ece": 0.1})
    assert verdict([report(ece=0.05)], None, policy) is Verdict.PROMOTE
    decision = gate([report(ece=0.2)], None, policy)
    assert decision.verdict is Verdict.REJECT
    assert "does not reach the ceiling 0.1000" in decision.reasons[0]


def test_a_shown_gain_without_loss_elsewhere_is_promoted() -> None:
    decision = gate(
        [report(), report("noise")], [comparison(), comparison("noise", 0.0, 0.01, 0.5)], POLICY
    )
    assert decision.verdict is Verdict.PROMOTE
    gained = check(decision, "superiority test/accuracy")
    assert (gained.candidate, gained.champion) == (0.9, pytest.approx(0.87))
    assert (gained.ci_low, gained.ci_high) == (pytest.approx(0.02), pytest.approx(0.04))
    assert "a gain is shown (p = 0.0010)" in gained.reason


def test_a_gain_on_clean_rows_does_not_pay_for_a_loss_under_noise() -> None:
    decision = gate(
        [report(), report("noise")], [comparison(), comparison("noise", -0.06, 0.01, 1.0)], POLICY
    )
    assert decision.verdict is Verdict.REJECT
    assert "noise/accuracy -0.0600 [-0.0700, -0.0500] is shown to be worse" in decision.reasons[0]


def test_a_floor_that_is_missed_rejects_a_candidate_that_beats_the_champion() -> None:
    policy = GateParams(floors={"test/accuracy": 0.95}, calibration_margin=None)
    decision = gate([report()], [comparison()], policy)
    assert decision.verdict is Verdict.REJECT
    assert check(decision, "superiority test/accuracy").passed


def test_no_shown_gain_is_a_hold() -> None:
    decision = gate([report()], [comparison(difference=0.001, p_value=0.4)], POLICY)
    assert decision.verdict is Verdict.HOLD
    assert "no gain is shown" in decision.reasons[0]


def test_a_gain_that_is_not_shown_says_how_many_rows_would_show_it() -> None:
    seen = gate([report()], [comparison(difference=0.01, half_width=0.012, p_value=0.06)], POLICY)
    assert seen.verdict is Verdict.HOLD
    more = more_rows_for_gain(0.01, 0.012 / 1.959964, 0.05, 500)
    assert more is not None
    assert f"test/accuracy: about {more} more rows would show a gain" in seen.reasons[1]
    none = gate([report()], [comparison(difference=0.0, p_value=0.5)], POLICY)
    assert "of so little no number of rows is likely to show a gain" in none.reasons[1]


def test_the_rows_that_would_show_a_gain_do_so_in_eight_of_ten() -> None:
    """The truth is spread around what was seen, and the new rows around the truth."""
    generator = np.random.default_rng(2)
    gain, error, alpha, n = 0.01, 0.006, 0.01, 1000
    more = more_rows_for_gain(gain, error, alpha, n)
    assert more is not None
    truth = generator.normal(gain, error, size=20_000)
    added = generator.normal(truth, error * math.sqrt(n / more))
    pooled = (n * gain + more * added) / (n + more)
    z = 2.326348 * error * math.sqrt(n / (n + more))
    assert np.mean(pooled >= z) == pytest.approx(0.8, abs=0.01)


def test_a_wide_interval_is_inconclusive_and_says_how_many_rows_would_decide() -> None:
    decision = gate([report()], [comparison(difference=0.0, half_width=0.05, p_value=0.5)], POLICY)
    assert decision.verdict is Verdict.INCONCLUSIVE
    more = more_rows(0.0, 0.05 / 1.959964, 0.03, 500, 0.95)
    assert more is not None
    assert f"test/accuracy: about {more} more rows would decide" in decision.reasons


def test_a_loss_that_is_not_shown_is_inconclusive() -> None:
    """Beyond the margin by estimate, but the interval holds 0."""
    decision = gate([report()], [comparison(difference=-0.05, half_width=0.08)], POLICY)
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "more rows would decide" in decision.reasons[1]


def test_the_same_checkpoint_is_a_hold() -> None:
    same = comparison(difference=0.0, champion="new", p_value=0.001)
    decision = gate([report()], [same], POLICY)
    assert decision.verdict is Verdict.HOLD
    assert decision.reasons == ("candidate and champion are the same checkpoint",)


def test_few_rows_never_promote() -> None:
    assert verdict([report(n=20)], [comparison(n=20)]) is Verdict.INCONCLUSIVE
    wide = GateParams(floors={}, min_rows=50, calibration_margin=None)
    assert verdict([report(n=20)], [comparison(n=20)], wide) is Verdict.INCONCLUSIVE


def test_an_axis_where_less_is_better_is_turned_round() -> None:
    policy = GateParams(floors={}, non_inferiority={"test/ece": 0.02})
    better = comparison(ece_difference=-0.05)
    worse = comparison(ece_difference=0.05)
    assert verdict([report(ece=0.05)], [better], policy) is Verdict.PROMOTE
    decision = gate([report(ece=0.05)], [worse], policy)
    assert decision.verdict is Verdict.REJECT
    assert "test/ece +0.0500" in decision.reasons[0]


def test_every_named_margin_is_asked_beside_the_accuracy_of_every_suite() -> None:
    policy = GateParams(floors={}, non_inferiority={"test/ece": 0.02, "noise/accuracy": 0.005})
    pairs = [comparison(ece_difference=0.0), comparison("noise", 0.0, 0.01, 0.5)]
    decision = gate([report(ece=0.05), report("noise")], pairs, policy)
    margins = {c.name: c.margin for c in decision.checks if c.name.startswith("non-inferiority")}
    assert margins == {
        "non-inferiority test/accuracy": 0.03,
        "non-inferiority test/ece": 0.02,
        "non-inferiority noise/accuracy": 0.005,
    }
    assert decision.verdict is Verdict.INCONCLUSIVE


def test_holm_lets_nothing_pass_after_the_first_failure() -> None:
    axes = ("test/accuracy", "noise/accuracy")
    policy = POLICY.model_copy(update={"superiority": axes})
    pairs = [comparison(p_value=0.04), comparison("noise", p_value=0.045)]
    assert verdict([report(), report("noise")], pairs, policy) is Verdict.HOLD
    pairs = [comparison(p_value=0.02), comparison("noise", p_value=0.045)]
    assert verdict([report(), report("noise")], pairs, policy) is Verdict.PROMOTE


@given(
    difference=st.floats(-0.2, 0.2),
    half_width=st.floats(0, 0.2),
    p_value=st.floats(0, 1),
    better=st.floats(0, 0.2),
    surer=st.floats(0, 1),
)
def test_a_better_candidate_is_never_judged_worse(
    difference, half_width, p_value, better, surer
) -> None:
    """PROMOTE stays PROMOTE when the gain grows and its p-value falls; REJECT cannot appear."""
    before = gate([report()], [comparison("test", difference, half_width, p_value)], POLICY)
    pair = comparison(
        "test", difference + better, half_width, p_value * surer, accuracy=0.9 + better / 2
    )
    after = gate([report(accuracy=0.9 + better / 2)], [pair], POLICY)
    if before.verdict is Verdict.PROMOTE:
        assert after.verdict is Verdict.PROMOTE
    if before.verdict is not Verdict.REJECT:
        assert after.verdict is not Verdict.REJECT


def comparison_of_counts(wins: int, losses: int, n: int):
    low, high = tango_interval(wins, losses, n, 0.95)
    gain = (wins - losses) / n
    pair = comparison(difference=gain, p_value=mcnemar_p(wins, losses), n=n)
    difference = pair.differences[0].model_copy(update={"ci_low": low, "ci_high": high})
    return pair.model_copy(update={"differences": (difference,)})


@pytest.mark.parametrize("discordant", [0.01, 0.05, 0.15])
def test_models_that_are_equally_good_are_promoted_at_most_as_often_as_alpha(discordant) -> None:
    """Exact McNemar and Tango's interval on simulated pairs that differ by chance alone."""
    generator = np.random.default_rng(0)
    drawn = generator.multinomial(1000, [discordant, discordant, 1 - 2 * discordant], size=1000)
    promoted = sum(
        verdict([report(n=1000)], [comparison_of_counts(int(w), int(b), 1000)]) is Verdict.PROMOTE
        for w, b, _ in drawn
    )
    assert promoted / 1000 <= POLICY.alpha + 2 * math.sqrt(0.05 * 0.95 / 1000)


def test_a_candidate_that_is_worse_by_the_margin_passes_in_at_most_one_of_forty() -> None:
    """Non-inferiority at the border of the margin is wrongly found at 2.5 % or less."""
    generator = np.random.default_rng(1)
    drawn = generator.multinomial(800, [0.03, 0.06, 0.91], size=1000)
    passed = sum(
        check(
            gate([report(n=800)], [comparison_of_counts(int(w), int(b), 800)], POLICY),
            "non-inferiority test/accuracy",
        ).passed
        for w, b, _ in drawn
    )
    assert passed / 1000 <= 0.025 + 2 * math.sqrt(0.025 * 0.975 / 1000)


def test_no_suite_may_lose_in_the_metric_that_decides_for_its_problem() -> None:
    """The reports and comparisons say which it is; accuracy is that of classification."""

    def renamed(item, field: str):
        changed = tuple(m.model_copy(update={"name": "entity_f1"}) for m in getattr(item, field))
        headline = {"headline": "entity_f1"} if field == "differences" else {}
        return item.model_copy(update={field: changed, **headline})

    policy = GateParams(
        floors={"test/entity_f1": 0.5}, superiority=("test/entity_f1",), calibration_margin=None
    )
    reports = [renamed(report(suite), "metrics") for suite in ("test", "typos")]
    comparisons = [
        renamed(comparison("test", 0.03), "differences"),
        renamed(comparison("typos", -0.10), "differences"),
    ]
    decision = gate(reports, comparisons, policy)
    assert decision.verdict is Verdict.REJECT
    assert "typos/entity_f1" in decision.reasons[0]
    assert gate(reports[:1], comparisons[:1], policy).verdict is Verdict.PROMOTE
