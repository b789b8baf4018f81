"""Axes beyond accuracy and what each policy asks: every one of them can refuse alone."""

from __future__ import annotations

import math
from typing import Any

import pytest
from gate_builders import POLICY, comparison, report

from pipeline_steps.comparison_types import Churn, Cost, CostComparison, PairedSlice
from pipeline_steps.evaluation_types import LeftOutSlices, MetricValue
from pipeline_steps.gate_params import POLICIES, policy_values
from pipeline_steps.gate_types import Look, SeedNoise, Verdict
from pipeline_steps.judging_params import GateParams
from pipeline_steps.registry.gate import Beside, gate


def policy(**keys: Any) -> GateParams:
    return POLICY.model_copy(update=keys)


def look(number: int, spent: float, *, promoted: bool = False) -> Look:
    return Look(
        dataset_digest="rows of test",
        candidate_digest=f"c{number}",
        champion_digest="old",
        policy_digest="p",
        promoted=promoted,
        spent=spent,
    )


def costs(latency: float = 1.0, size: float = 1.0, candidate: str = "new") -> CostComparison:
    def cost(digest: str, n_bytes: int) -> Cost:
        return Cost(
            checkpoint_digest=digest, latency_ms=5.0, latency_p95_ms=6.0, size_bytes=n_bytes
        )

    return CostComparison(
        candidate=cost(candidate, int(1000 * size)),
        champion=cost("old", 1000),
        n=60,
        latency_ratio=latency,
        ratio_low=latency - 0.1,
        ratio_high=latency + 0.1,
        machine="here",
    )


def sliced(difference: float, half_width: float, *, n: int = 200) -> Any:
    """Return a comparison that is better on all rows, with one slice beside."""
    part = comparison(difference=difference, half_width=half_width, n=n).differences[0]
    found = PairedSlice(column="domain", value="email", n=n, difference=part)
    return comparison().model_copy(update={"slices": (found,)})


def flipped(share: float) -> Any:
    def metric(name: str, value: float) -> MetricValue:
        return MetricValue(name=name, value=value, n=500, ci_low=0.0, ci_high=1.0)

    churn = Churn(
        n=500,
        churn=metric("churn", 0.2),
        negative_flips=metric("negative_flips", share),
        positive_flips=metric("positive_flips", 0.1),
        n_both_right=0,
        n_both_wrong=0,
        n_both_wrong_differently=0,
    )
    return comparison().model_copy(update={"churn": churn})


def test_the_defaults_are_those_of_the_balanced_policy() -> None:
    shipped = policy_values("balanced")
    given = GateParams().model_dump()
    assert {name: given[name] for name in shipped} == shipped


@pytest.mark.parametrize("name", POLICIES)
def test_every_shipped_policy_says_all_but_floors_and_what_is_better(name: str) -> None:
    left = {*GateParams.model_fields} - {*policy_values(name)}
    assert left - {"superiority"} == {"policy", "floors", "non_inferiority", "unsure_suites"}
    assert GateParams(policy=name).policy == name


def test_a_key_overrides_its_policy_and_another_file_is_a_policy(tmp_path) -> None:
    strict = GateParams(policy="strict")
    assert (strict.alpha, strict.default_margin) == (0.01, 0.02)
    assert GateParams(policy="strict", alpha=0.1).alpha == 0.1
    (tmp_path / "ours.yaml").write_text("alpha: 0.2\n")
    read = GateParams.model_validate({"policy": "ours.yaml"}, context={"root": tmp_path})
    assert (read.alpha, read.default_margin) == (0.2, 0.03)


@pytest.mark.parametrize(
    ("text", "words"),
    [("alpa: 1", "unknown keys: alpa"), ("- 1", "must be a mapping"), ("a: [", "not valid YAML")],
)
def test_a_wrong_policy_file_is_refused(tmp_path, text: str, words: str) -> None:
    (tmp_path / "ours.yaml").write_text(text)
    with pytest.raises(ValueError, match=words):
        GateParams.model_validate({"policy": "ours.yaml"}, context={"root": tmp_path})
    with pytest.raises(ValueError, match="there is no policy 'lax'"):
        GateParams(policy="lax")


def test_a_refresh_must_be_better_on_the_window_and_worse_nowhere() -> None:
    keys = {"max_latency_ratio": None, "max_size_ratio": None, "calibration_margin": None}
    refresh = GateParams(policy="refresh", floors={}, **keys)
    reports = [report(), report("window_may")]
    same, better = comparison(difference=0.0, p_value=0.6), comparison("window_may")
    assert gate(reports, [same, better], refresh).verdict is Verdict.PROMOTE
    worse = comparison(difference=-0.05, p_value=1.0)
    assert gate(reports, [worse, better], refresh).verdict is Verdict.REJECT
    idle = comparison("window_may", difference=0.0, p_value=0.5)
    assert gate(reports, [comparison(), idle], refresh).verdict is Verdict.HOLD
    without = gate([report()], [comparison()], refresh)
    assert without.verdict is Verdict.REJECT
    assert "no suite fits window*/headline" in without.reasons[0]


def test_a_suite_that_may_be_unsure_refuses_only_where_it_is_shown_to_be_worse() -> None:
    """A window of 40 rows cannot show that equal answers are within 0.03 of each other."""
    reports = [report(), report("earlier_may", n=40)]
    equal = comparison("earlier_may", 0.0, 0.09, 1.0, n=40)
    assert gate(reports, [comparison(), equal], POLICY).verdict is Verdict.INCONCLUSIVE
    unsure = policy(unsure_suites=("earlier_*",))
    decision = gate(reports, [comparison(), equal], unsure)
    assert decision.verdict is Verdict.PROMOTE
    [check] = [c for c in decision.checks if c.name == "non-inferiority earlier_may/accuracy"]
    assert "is not shown to be worse, on rows too few to rule it out" in check.reason
    worse = comparison("earlier_may", -0.3, 0.12, 1.0, n=40)
    assert gate(reports, [comparison(), worse], unsure).verdict is Verdict.REJECT


def test_a_suite_with_a_margin_of_its_own_must_keep_it() -> None:
    reports = [report(), report("earlier_may")]
    equal = comparison("earlier_may", 0.0, 0.09, 1.0)
    asked = policy(unsure_suites=("earlier_*",), non_inferiority={"earlier_may/accuracy": 0.05})
    assert gate(reports, [comparison(), equal], asked).verdict is Verdict.INCONCLUSIVE


def test_a_first_version_may_be_left_to_a_person() -> None:
    decision = gate([report()], None, policy(first_version="refuse"))
    assert decision.verdict is Verdict.HOLD
    assert "leaves the first champion to a person" in decision.reasons[0]
    low = gate([report(accuracy=0.1)], None, policy(first_version="refuse"))
    assert low.verdict is Verdict.REJECT


def test_harm_on_one_slice_refuses_what_is_better_on_average() -> None:
    decision = gate([report()], [sliced(-0.2, 0.05)], POLICY)
    assert decision.verdict is Verdict.REJECT
    assert "test/accuracy where domain is email -0.2000" in decision.reasons[0]


def test_a_slice_that_may_be_worse_matters_only_where_slices_have_a_margin() -> None:
    unsure = sliced(-0.05, 0.1)
    assert gate([report()], [unsure], POLICY).verdict is Verdict.PROMOTE
    asked = gate([report()], [unsure], policy(slice_margin=0.1))
    assert asked.verdict is Verdict.INCONCLUSIVE


def test_a_small_slice_is_not_asked_about() -> None:
    assert gate([report()], [sliced(-0.5, 0.1, n=49)], POLICY).verdict is Verdict.PROMOTE


def test_harm_of_one_axis_among_many_must_be_shown_over_all_of_them() -> None:
    """At 2.5 % of one axis, Holm asks for 0.25 % of each of ten."""
    suites = ["test", *(f"noise{n}" for n in range(9))]
    reports = [report(suite) for suite in suites]
    pairs = [comparison(), *(comparison(s, 0.0, 0.01, 0.5) for s in suites[1:-1])]
    pairs.append(comparison(suites[-1], -0.05, 0.045, 1.0))  # 2.2 standard errors
    assert gate(reports, pairs, POLICY).verdict is Verdict.INCONCLUSIVE
    assert gate(reports, pairs, policy(holm=False)).verdict is Verdict.REJECT


def test_a_worse_calibration_is_a_harm() -> None:
    pair = comparison(ece_difference=0.09)
    decision = gate([report(ece=0.05)], [pair], policy(calibration_margin=0.05))
    assert decision.verdict is Verdict.REJECT
    assert "test/ece +0.0900" in decision.reasons[0]
    assert gate([report(ece=0.05)], [pair], POLICY).verdict is Verdict.PROMOTE


def test_a_suite_out_of_scope_needs_the_champions_scores() -> None:
    outside = report("outside").model_copy(update={"kind": "out_of_scope"})
    decision = gate([report(), outside], [comparison()], POLICY)
    assert decision.verdict is Verdict.REJECT
    assert "the champion was not scored on outside" in decision.reasons[0]
    worse = comparison("outside", -0.09)
    assert gate([report(), outside], [comparison(), worse], POLICY).verdict is Verdict.REJECT
    relaxed = policy(out_of_scope_margin=None)
    assert gate([report(), outside], [comparison()], relaxed).verdict is Verdict.PROMOTE


def test_too_many_lost_answers_refuse() -> None:
    ceiling = policy(max_negative_flips=0.03)
    assert gate([report()], [flipped(0.02)], ceiling).verdict is Verdict.PROMOTE
    assert gate([report()], [flipped(0.04)], ceiling).verdict is Verdict.REJECT
    uncounted = gate([report()], [comparison()], ceiling)
    assert "negative flips were not counted" in uncounted.reasons[0]


def test_latency_and_size_have_ceilings_that_fail_closed() -> None:
    dear = policy(max_latency_ratio=1.5, max_size_ratio=2.0)
    pairs = [comparison()]
    assert gate([report()], pairs, dear, Beside(costs=costs())).verdict is Verdict.PROMOTE
    for beside, words in (
        (costs(latency=1.7), "latency is 1.70 [1.60, 1.80] times"),
        (costs(size=2.5), "size is 2.50 times"),
        (costs(candidate="another"), "those of other checkpoints"),
        (None, "were not measured"),
    ):
        decision = gate([report()], pairs, dear, Beside(costs=beside))
        assert decision.verdict is Verdict.REJECT
        assert words in decision.reasons[0]


@pytest.mark.parametrize("ratio", [1.45, 1.55])
def test_a_latency_whose_interval_holds_the_ceiling_is_in_doubt(ratio: float) -> None:
    dear = policy(max_latency_ratio=1.5)
    decision = gate([report()], [comparison()], dear, Beside(costs=costs(latency=ratio)))
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "times that of the champion, perhaps more than 1.50" in decision.reasons[0]


def test_a_latency_whose_interval_is_no_number_is_refused() -> None:
    dear, found = policy(max_latency_ratio=1.5), costs().model_copy(update={"ratio_high": math.nan})
    decision = gate([report()], [comparison()], dear, Beside(costs=found))
    assert decision.verdict is Verdict.REJECT
    assert "latency and size are not numbers" in decision.reasons[0]


def test_a_gain_that_is_to_exceed_that_of_another_seed_needs_a_measured_one() -> None:
    asked = policy(beyond_seeds=True)
    decision = gate([report()], [comparison()], asked)
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert decision.reasons[0].endswith("what another seed brings is not known")
    assert "measure it with holdfast reseed" in decision.reasons[1]
    small = SeedNoise(axis="test/accuracy", std=0.001, runs=5, source="on validation rows")
    known = gate([report()], [comparison()], asked, Beside(noise=(small,)))
    assert known.verdict is Verdict.PROMOTE
    large = small.model_copy(update={"std": 0.03, "source": "on test rows"})
    for noise in ((small, large), (large, small)):  # of two spreads the larger counts
        wider = gate([report()], [comparison()], asked, Beside(noise=noise))
        assert wider.verdict is Verdict.HOLD
        assert "on test rows" in wider.reasons[0]
    none = gate([report()], [comparison(difference=0.0, p_value=0.6)], asked)
    assert none.verdict is Verdict.HOLD


def test_a_margin_of_slices_that_none_was_held_to_is_in_doubt() -> None:
    asked = policy(slice_margin=0.1, min_slice_rows=100)
    for pair in (comparison(), sliced(0.0, 0.01, n=99)):
        decision = gate([report()], [pair], asked)
        assert decision.verdict is Verdict.INCONCLUSIVE
        assert "test: no slice of 100 rows or more was compared" in decision.reasons[0]
    assert gate([report()], [sliced(0.0, 0.01)], asked).verdict is Verdict.PROMOTE


def test_values_that_were_no_slices_are_named_and_in_doubt_under_a_margin() -> None:
    some = LeftOutSlices(column="domain", n_values=12, n=60)
    pair = sliced(0.0, 0.01).model_copy(update={"left_out": (some,)})
    decision = gate([report()], [pair], POLICY)
    assert decision.verdict is Verdict.PROMOTE
    words = "test: 12 values of domain, the largest with 60 rows, were not compared"
    assert next(c.reason for c in decision.checks if c.name == "slices test").startswith(words)
    asked = gate([report()], [pair], policy(slice_margin=0.1))
    assert asked.verdict is Verdict.INCONCLUSIVE
    assert asked.reasons[0].startswith(words)
    large = policy(slice_margin=0.1, min_slice_rows=61)
    assert gate([report()], [pair], large).verdict is Verdict.PROMOTE


def test_the_worst_group_has_floors_and_margins_like_any_axis() -> None:
    worst = MetricValue(name="worst_group_accuracy", value=0.6, n=60, ci_low=0.4, ci_high=0.8)
    grouped = report().model_copy(update={"worst_group": worst})
    lost = comparison(accuracy=0.6, difference=-0.05, half_width=0.02).differences[0]
    named = {"name": "worst_group_accuracy", "p_value": None, "p_worse": 1.0}
    pair = comparison().model_copy(update={"worst_group": lost.model_copy(update=named)})
    axis = "test/worst_group_accuracy"
    assert gate([grouped], [pair], POLICY).verdict is Verdict.PROMOTE
    low = gate([grouped], [pair], policy(floors={axis: 0.7}))
    assert low.verdict is Verdict.REJECT
    few = grouped.model_copy(update={"worst_group": worst.model_copy(update={"n": 20})})
    assert gate([few], [pair], policy(floors={axis: 0.5})).verdict is Verdict.INCONCLUSIVE
    narrow = gate([grouped], [pair], policy(non_inferiority={axis: 0.05}))
    assert narrow.verdict is Verdict.INCONCLUSIVE
    assert f"{axis} -0.0500 [-0.0700, -0.0300] could be worse" in narrow.reasons[0]
    assert gate([grouped], [pair], policy(non_inferiority={axis: 0.08})).verdict is Verdict.PROMOTE
    spoilt = grouped.model_copy(update={"worst_group": worst.model_copy(update={"value": 0.5})})
    contradicted = gate([spoilt], [pair], POLICY)
    assert f"{axis} differs between report and comparison" in contradicted.reasons[0]
    absent = gate([report()], [comparison()], policy(floors={axis: 0.5}))
    assert f"{axis} is missing; the policy names it" in absent.reasons[0]


def test_a_calibration_error_that_nobody_measured_is_missed() -> None:
    decision = gate([report()], [comparison()], policy(calibration_margin=0.05))
    assert decision.verdict is Verdict.REJECT
    assert "the calibration error of clean rows was not measured" in decision.reasons[0]


def test_what_strict_asks_and_nobody_measured_never_promotes() -> None:
    named = {"max_latency_ratio": None, "max_size_ratio": None, "max_negative_flips": None}
    strict = GateParams(policy="strict", **named)
    assert gate([report()], [comparison()], strict).verdict is not Verdict.PROMOTE
    uncalibrated = strict.model_copy(update={"calibration_margin": None})
    assert gate([report()], [comparison()], uncalibrated).verdict is Verdict.INCONCLUSIVE


def test_too_few_rows_for_a_floor_hide_no_harm() -> None:
    floors = policy(floors={"small/accuracy": 0.5})
    small = comparison("small", 0.0, 0.01, 0.5, n=20)
    worse = comparison(difference=-0.3, p_value=1.0)
    decision = gate([report(), report("small", n=20)], [worse, small], floors)
    assert decision.verdict is Verdict.REJECT
    assert "test/accuracy -0.3000" in decision.reasons[0]
    assert "it rests on 20 rows" in decision.reasons[-1]
    fine = gate([report(), report("small", n=20)], [comparison(), small], floors)
    assert fine.verdict is Verdict.INCONCLUSIVE


def test_a_gain_that_another_seed_may_bring_is_said_so_and_may_not_count() -> None:
    noise = SeedNoise(axis="test/accuracy", std=0.03, runs=5, source="on validation rows")
    said = gate([report()], [comparison()], POLICY, Beside(noise=(noise,)))
    assert said.verdict is Verdict.PROMOTE
    assert (
        "another seed may bring as much (standard deviation 0.0300 over 5 runs" in said.reasons[0]
    )
    strict = policy(beyond_seeds=True)
    assert gate([report()], [comparison()], strict, Beside(noise=(noise,))).verdict is Verdict.HOLD


def test_scores_of_the_champion_by_other_code_are_stale() -> None:
    stale = comparison().model_copy(update={"candidate_code": "a", "champion_code": "b"})
    decision = gate([report()], [stale], POLICY)
    assert decision.verdict is Verdict.REJECT
    assert "the champion's scores on test are stale" in decision.reasons[0]
    other = comparison().model_copy(update={"candidate_predictions": "others"})
    assert "other predictions were compared" in gate([report()], [other], POLICY).reasons[0]


def test_a_set_that_has_decided_often_asks_for_more_and_in_the_end_for_fresh_rows() -> None:
    weekly = policy(looks=52)
    assert gate([report()], [comparison(p_value=0.003)], weekly).verdict is Verdict.PROMOTE
    looks = tuple(look(n, 0.0007) for n in range(30))
    worn = gate([report()], [comparison(p_value=0.003)], weekly, Beside(looks=looks))
    assert worn.verdict is Verdict.HOLD
    done = tuple(look(n, 0.05 / 52) for n in range(52))
    over = gate([report()], [comparison(p_value=0.0)], weekly, Beside(looks=done))
    assert over.verdict is Verdict.HOLD
    assert "test has decided 52 times" in over.reasons[1]
    assert "give it fresh rows" in over.reasons[1]


def test_a_decision_says_what_it_spent_and_what_it_rests_on() -> None:
    decision = gate([report()], [comparison()], policy(looks=4))
    assert decision.spent == {"rows of test": decision.alpha}
    assert decision.datasets == {"test": "rows of test"}
    assert decision.predictions == {"candidate/test": "p"}
    first = gate([report()], None, POLICY)
    assert (first.spent, first.alpha) == ({}, None)


def test_a_shown_gain_is_written_down_without_the_luck_of_being_picked() -> None:
    decision = gate([report()], [comparison(half_width=0.018)], policy(looks=52))
    [gained] = [c for c in decision.checks if c.name == "superiority test/accuracy"]
    assert gained.corrected is not None
    assert 0.0 < gained.corrected < 0.03
