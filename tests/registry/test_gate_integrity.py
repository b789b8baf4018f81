"""Whatever piece is taken away or spoilt, the gate refuses and says which."""

from __future__ import annotations

import math

import pytest
from gate_builders import POLICY, comparison, report
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline_steps.gate_types import Verdict
from pipeline_steps.judging_params import GateParams
from pipeline_steps.registry.gate import gate

NAN, INF = math.nan, math.inf
CASES = {
    "there is no evaluation report": ([], [comparison()]),
    "the champion was not scored on noise": ([report(), report("noise")], [comparison()]),
    "noise was compared but not reported": ([report()], [comparison(), comparison("noise")]),
    "test/accuracy is undefined": ([report(accuracy=None)], [comparison()]),
    "test/accuracy is missing": ([report("noise")], [comparison("noise")]),
    "about different checkpoints": ([report(), report("noise", digest="x")], [comparison()]),
    "scored on other rows of test": ([report(n=499)], [comparison()]),
    "about different champions": (
        [report(), report("noise")],
        [comparison(), comparison("noise", champion="x")],
    ),
    "does not say which champion": ([report()], [comparison(champion="")]),
    "does not say which checkpoint": ([report(digest="")], [comparison()]),
    "not a number with its interval": ([report()], [comparison(half_width=INF)]),
    "test/accuracy differs between report and comparison": (
        [report(accuracy=0.8)],
        [comparison()],
    ),
    "a suite was reported twice": ([report(), report()], [comparison()]),
    "a suite was compared twice": ([report()], [comparison(), comparison()]),
    "another checkpoint was compared": ([report(digest="other")], [comparison()]),
    "the gain in test/accuracy was not tested": ([report()], [comparison(p_value=None)]),
    "the champion was not scored on test": ([report()], []),
}


@pytest.mark.parametrize("kind", ["behaviour", "calibration", "seeds"])
def test_what_counts_no_right_answers_needs_no_champion_and_floors_judge_it(kind: str) -> None:
    beside = report("beside").model_copy(update={"kind": kind})
    decision = gate([report(), beside], [comparison()], POLICY)
    assert decision.verdict is Verdict.PROMOTE
    floors = POLICY.model_copy(update={"floors": {"beside/accuracy": 0.95}})
    assert gate([report(), beside], [comparison()], floors).verdict is Verdict.REJECT


@pytest.mark.parametrize("kind", ["clean", "noise", "shift", "adversarial"])
def test_what_counts_right_answers_needs_a_champion(kind: str) -> None:
    beside = report("beside").model_copy(update={"kind": kind})
    decision = gate([report(), beside], [comparison()], POLICY)
    assert "the champion was not scored on beside" in decision.reasons[0]


@pytest.mark.parametrize("problem", CASES)
def test_a_missing_or_foreign_piece_is_refused_by_name(problem: str) -> None:
    decision = gate(*CASES[problem], POLICY)
    assert decision.verdict is Verdict.REJECT
    assert problem in decision.reasons[0]


@pytest.mark.parametrize(
    "policy",
    [
        GateParams(floors={"typos/accuracy": 0.5}),
        GateParams(non_inferiority={"typos/accuracy": 0.01}),
        GateParams(non_inferiority={"test/macro_f1": 0.01}),
        GateParams(superiority=("test/macro_f1",)),
    ],
)
@pytest.mark.parametrize("comparisons", [None, [comparison()]])
def test_an_axis_that_only_the_policy_knows_is_refused(policy, comparisons) -> None:
    """A gate that skipped what it cannot find would promote on a misspelt name."""
    decision = gate([report()], comparisons, policy)
    assert decision.verdict is Verdict.REJECT
    assert "is missing; the policy names it" in decision.reasons[0]


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ({"superiority": ["accuracy"]}, "should match pattern"),
        ({"floors": {"test/accuracy": NAN}}, "should be a finite number"),
        ({"non_inferiority": {"test/accuracy": INF}}, "should be a finite number"),
    ],
)
def test_a_policy_that_could_never_refuse_is_no_policy(section, complaint) -> None:
    """An endless margin would wave everything through."""
    with pytest.raises(ValidationError, match=complaint):
        GateParams.model_validate(section)


SUITES = ("test", "noise", "shift")
FIELDS = ("candidate", "champion", "difference", "ci_low", "ci_high", "p_value")


def spoil_difference(pairs, where, field, value):
    pair = pairs[where]
    spoilt = pair.differences[0].model_copy(update={field: value})
    pairs[where] = pair.model_copy(update={"differences": (spoilt,)})


def drop_differences(pairs, where):
    pairs[where] = pairs[where].model_copy(update={"differences": ()})


@given(
    where=st.integers(0, 2),
    how=st.sampled_from(["report", "pair", "both sides of a policy suite", "metric", "differences"])
    | st.tuples(st.sampled_from(FIELDS), st.sampled_from([NAN, INF, -INF]))
    | st.tuples(st.sampled_from(["suite", "dataset_digest", "candidate_digest"]), st.just("other"))
    | st.tuples(st.just("n"), st.integers(0, 499)),
)
def test_no_decision_with_a_missing_or_spoilt_piece_promotes(where, how) -> None:
    """The whole is promoted; without any one piece it is rejected."""
    reports = [report(suite) for suite in SUITES]
    pairs = [comparison(suite) for suite in SUITES]
    policy = GateParams(
        floors={f"{s}/accuracy": 0.5 for s in SUITES},
        superiority=tuple(f"{s}/accuracy" for s in SUITES),
        calibration_margin=None,
    )
    assert gate(reports, pairs, policy).verdict is Verdict.PROMOTE
    if how == "report":
        del reports[where]
    elif how == "pair":
        del pairs[where]
    elif how == "both sides of a policy suite":
        del reports[where], pairs[where]
    elif how == "metric":
        reports[where] = reports[where].model_copy(update={"metrics": ()})
    elif how == "differences":
        drop_differences(pairs, where)
    elif how[0] in FIELDS:
        spoil_difference(pairs, where, *how)
    else:
        pairs[where] = pairs[where].model_copy(update={how[0]: how[1]})
    assert gate(reports, pairs, policy).verdict is Verdict.REJECT
