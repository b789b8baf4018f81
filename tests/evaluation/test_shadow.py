"""A window of traffic whose disagreements have labels: worth as much as all of its labels."""

from __future__ import annotations

from typing import Any

import pytest
from gate_builders import POLICY, comparison, report
from hypothesis import given
from hypothesis import strategies as st

from pipeline_steps.evaluation.intervals import tango_interval
from pipeline_steps.evaluation.shadow import weigh_losses, with_shadow
from pipeline_steps.gate_types import GateDecision, ShadowEvidence, Verdict
from pipeline_steps.registry.gate import gate

RIGHT = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80)


def evidence(better: int, worse: int, n: int = 2_000, **other: Any) -> ShadowEvidence:
    values = {
        "candidate_digest": "new", "champion_digest": "old", "window_digest": "w", "n": n,
        "n_different": better + worse, "n_candidate_better": better, "n_champion_better": worse,
    }  # fmt: skip
    return ShadowEvidence(**(values | other))


def judged(found: ShadowEvidence | None, **policy: Any) -> GateDecision:
    weighed = with_shadow([report()], [comparison()], found)
    return gate(*weighed, POLICY.model_copy(update=policy))


@given(rows=RIGHT)
def test_labels_of_disagreements_alone_say_what_all_labels_say(
    rows: list[tuple[bool, bool]],
) -> None:
    differ = [(ours, theirs) for ours, theirs in rows if ours != theirs]
    losses = [[float(not right) for right in side] for side in zip(*differ, strict=True)]
    better, worse = weigh_losses(*losses) if losses else (0, 0)
    found = evidence(better, worse, len(rows))
    difference = with_shadow([report()], [comparison()], found)[1][-1].differences[0]
    gains = [ours - theirs for ours, theirs in rows]
    assert difference.difference == pytest.approx(sum(gains) / len(rows))
    ends = tango_interval(gains.count(1), gains.count(-1), len(rows), 0.95)
    assert (difference.ci_low, difference.ci_high) == ends


def test_traffic_that_the_candidate_harms_rejects_what_the_test_set_lets_pass() -> None:
    assert judged(None).verdict is Verdict.PROMOTE
    harmed = judged(evidence(10, 150))
    assert harmed.verdict is Verdict.REJECT
    assert "shadow/better_answers -0.0700" in harmed.reasons[0]
    assert "is shown to be worse" in harmed.reasons[0]


def test_traffic_on_which_they_are_alike_is_in_nobodys_way() -> None:
    found = judged(evidence(20, 21))
    assert found.verdict is Verdict.PROMOTE
    assert "non-inferiority shadow/better_answers" in {check.name for check in found.checks}


def test_few_rows_of_traffic_leave_it_open() -> None:
    few = judged(evidence(3, 4, n=60))
    assert few.verdict is Verdict.INCONCLUSIVE
    assert any("would decide" in reason for reason in few.reasons)


def test_a_gain_in_traffic_may_be_what_the_policy_asks_for() -> None:
    asked = {"superiority": ("shadow/headline",)}
    assert judged(evidence(60, 20), **asked).verdict is Verdict.PROMOTE
    assert judged(evidence(22, 20), **asked).verdict is Verdict.HOLD
    missing = judged(None, **asked)
    assert missing.verdict is Verdict.REJECT
    assert "no suite fits shadow/headline" in missing.reasons[0]


@pytest.mark.parametrize("other", [{"candidate_digest": "else"}, {"champion_digest": "else"}])
def test_traffic_of_another_pair_is_refused(other: dict[str, str]) -> None:
    assert judged(evidence(60, 20, **other)).verdict is Verdict.REJECT


def test_a_first_version_is_beside_nobody() -> None:
    assert with_shadow([report()], None, evidence(1, 1)) == ([report()], None)
