"""The gate fails closed: whatever is missing, it never promotes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.evaluation.compare import mcnemar_p
from pipeline_steps.params import GateParams
from pipeline_steps.registry.gate import gate
from pipeline_steps.types import (
    EvaluationReport,
    MetricValue,
    PairedComparison,
    PairedDifference,
    Verdict,
)

POLICY = GateParams(floors={"test/accuracy": 0.7}, superiority=("test/accuracy",), min_rows=50)


def report(suite: str = "test", accuracy: float | None = 0.9, n: int = 500, digest: str = "new"):
    metric = MetricValue(name="accuracy", value=accuracy, n=n, ci_low=0.0, ci_high=1.0)
    return EvaluationReport(
        checkpoint_digest=digest,
        dataset_digest=f"rows of {suite}",
        predictions_digest="p",
        suite=suite,
        kind="clean",
        n=n,
        metrics=(metric,),
    )


def comparison(
    suite: str = "test",
    difference: float = 0.03,
    half_width: float = 0.01,
    p_value: float = 0.001,
    n: int = 500,
    champion: str = "old",
):
    return PairedComparison(
        suite=suite,
        dataset_digest=f"rows of {suite}",
        candidate_digest="new",
        champion_digest=champion,
        n=n,
        n_only_candidate_correct=0,
        n_only_champion_correct=0,
        differences=(
            PairedDifference(
                name="accuracy",
                candidate=0.9,
                champion=0.9 - difference,
                difference=difference,
                ci_low=difference - half_width,
                ci_high=difference + half_width,
                p_value=p_value,
                n=n,
            ),
        ),
    )


def test_a_first_version_is_promoted_when_every_floor_is_reached() -> None:
    decision = gate([report()], None, POLICY)
    assert decision.verdict is Verdict.PROMOTE
    assert decision.reasons == ("first version: every floor is reached",)


def test_a_first_version_below_a_floor_is_rejected() -> None:
    decision = gate([report(accuracy=0.6)], None, POLICY)
    assert decision.verdict is Verdict.REJECT
    assert "does not reach 0.7000" in decision.reasons[0]


def test_a_shown_gain_without_loss_elsewhere_is_promoted() -> None:
    decision = gate(
        [report(), report("noise")], [comparison(), comparison("noise", 0.0, 0.01, 0.5)], POLICY
    )
    assert decision.verdict is Verdict.PROMOTE


def test_a_gain_on_clean_rows_does_not_pay_for_a_loss_under_noise() -> None:
    decision = gate(
        [report(), report("noise")], [comparison(), comparison("noise", -0.06, 0.01, 1.0)], POLICY
    )
    assert decision.verdict is Verdict.REJECT
    assert "noise/accuracy" in decision.reasons[0]


def test_no_shown_gain_is_a_hold() -> None:
    decision = gate([report()], [comparison(difference=0.001, p_value=0.4)], POLICY)
    assert decision.verdict is Verdict.HOLD


def test_a_wide_interval_is_inconclusive_and_says_how_many_rows_would_decide() -> None:
    decision = gate([report()], [comparison(difference=0.0, half_width=0.08, p_value=0.5)], POLICY)
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert any("more rows would decide" in reason for reason in decision.reasons)


def test_the_same_checkpoint_is_a_hold() -> None:
    decision = gate([report()], [comparison(difference=0.0, champion="new")], POLICY)
    assert decision.verdict is Verdict.HOLD


def test_few_rows_never_promote() -> None:
    decision = gate([report(n=20)], [comparison(n=20)], POLICY)
    assert decision.verdict is not Verdict.PROMOTE


MISSING = {
    "no report": ([], [comparison()]),
    "no comparison of a suite": ([report(), report("noise")], [comparison()]),
    "a comparison without its report": ([report()], [comparison(), comparison("noise")]),
    "an undefined metric": ([report(accuracy=None)], [comparison()]),
    "the floor's suite": ([report("noise")], [comparison("noise")]),
    "reports of two checkpoints": ([report(), report("noise", digest="x")], [comparison()]),
    "other rows": ([report(n=499)], [comparison()]),
    "two champions": (
        [report(), report("noise")],
        [comparison(), comparison("noise", champion="x")],
    ),
    "an infinite difference": ([report()], [comparison(half_width=float("inf"))]),
    "an empty list of comparisons": ([report()], []),
}


@pytest.mark.parametrize("case", MISSING)
def test_a_missing_or_foreign_piece_is_refused(case: str) -> None:
    reports, comparisons = MISSING[case]
    assert gate(reports, comparisons, POLICY).verdict is Verdict.REJECT


@given(
    difference=st.floats(-0.2, 0.2),
    half_width=st.floats(0, 0.2),
    p_value=st.floats(0, 1),
    better=st.floats(0, 0.2),
)
def test_a_better_candidate_is_never_judged_worse(difference, half_width, p_value, better) -> None:
    """PROMOTE stays PROMOTE when the difference grows and nothing else changes."""
    before = gate(
        [report()],
        [comparison(difference=difference, half_width=half_width, p_value=p_value)],
        POLICY,
    )
    after = gate(
        [report()],
        [comparison(difference=difference + better, half_width=half_width, p_value=p_value)],
        POLICY,
    )
    if before.verdict is Verdict.PROMOTE:
        assert after.verdict is Verdict.PROMOTE


def test_without_a_real_gain_promotions_stay_below_alpha() -> None:
    """Exact McNemar on simulated equal models: at most alpha of them pass superiority."""
    generator = np.random.default_rng(0)
    promoted = 0
    for _ in range(500):
        wins, losses = generator.binomial(1000, 0.05, size=2)
        gain = (wins - losses) / 1000
        pair = comparison(
            difference=gain, half_width=0.02, p_value=mcnemar_p(int(wins), int(losses)), n=1000
        )
        promoted += gate([report(n=1000)], [pair], POLICY).verdict is Verdict.PROMOTE
    assert promoted / 500 <= POLICY.alpha + 2 * np.sqrt(0.05 * 0.95 / 500)


def test_holm_lets_nothing_pass_after_the_first_failure() -> None:
    policy = POLICY.model_copy(update={"superiority": ("test/accuracy", "noise/accuracy")})
    pairs = [comparison(p_value=0.04), comparison("noise", p_value=0.045)]
    decision = gate([report(), report("noise")], pairs, policy)
    assert decision.verdict is Verdict.HOLD
