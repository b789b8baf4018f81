"""A verdict is shown with what has changed in the question since the champion was judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gate_builders import POLICY, comparison, report

from flows.commands.gate import Regated, lines, markdown
from flows.policy_changes import ASKED, asked_of, changes_since_champion
from pipeline_steps.gate_types import GateDecision, Verdict
from pipeline_steps.judging_params import EvaluateParams, GateParams, RegisterParams
from pipeline_steps.registry.gate import gate
from pipeline_steps.registry.ledger import Ledger
from pipeline_steps.registry.verdicts import VERDICT

STRICT = POLICY.model_copy(update={"default_margin": 0.01})


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


def judged(ledger: Ledger, decision: GateDecision, policy: GateParams | None) -> None:
    """Write down a verdict on "new", which then is the champion."""
    asked = {} if policy is None else {ASKED: asked_by(policy)}
    evidence: dict[str, Any] = {**decision.model_dump(mode="json"), **asked}
    ledger.append(VERDICT, model_name="desk", actor="ada", reason="r", evidence=evidence)


def asked_by(policy: GateParams, **register: Any) -> dict[str, Any]:
    return asked_of(policy, EvaluateParams(), RegisterParams(**register))


def changes(
    ledger: Ledger, decision: GateDecision, policy: GateParams, **register: Any
) -> tuple[str, ...]:
    asked = asked_by(policy, **register)
    return changes_since_champion(ledger, "desk", "new", decision, asked)


def test_a_wider_margin_and_a_suite_that_fell_away_are_named(ledger: Ledger) -> None:
    both = [report(), report("noise")]
    judged(ledger, gate(both, None, STRICT), STRICT)
    assert changes(ledger, gate(both, None, STRICT), STRICT) == ()
    wide = STRICT.model_copy(update={"default_margin": 0.5, "superiority": ()})
    assert changes(ledger, gate([report()], None, wide), wide) == (
        "gate.default_margin: 0.01 -> 0.5",
        'gate.superiority: ["test/accuracy"] -> []',
        "noise fell away: the champion was judged on it",
    )


def test_new_suites_and_other_rows_are_named(ledger: Ledger) -> None:
    judged(ledger, gate([report()], None, STRICT), STRICT)
    fresh = report().model_copy(update={"dataset_digest": "fresh"})
    assert changes(ledger, gate([fresh, report("noise")], None, STRICT), STRICT) == (
        "noise is new: the champion was not judged on it",
        "test has other rows than the champion was judged on",
    )


def test_a_later_look_at_the_champion_itself_is_not_what_it_passed(ledger: Ledger) -> None:
    """A change of the policy alone ends in such a verdict, and hides no later one."""
    first = gate([report()], None, STRICT)
    same = gate([report()], [comparison(champion="new", difference=0.0)], POLICY)
    assert (first.verdict, same.verdict) == (Verdict.PROMOTE, Verdict.HOLD)
    judged(ledger, first, STRICT)
    judged(ledger, same, POLICY)
    assert changes(ledger, same, POLICY) == ("gate.default_margin: 0.01 -> 0.03",)


def test_a_person_who_is_asked_no_more_is_named(ledger: Ledger) -> None:
    """No verdict rests on it, so nothing else in the table of a pull request would show it."""
    decision = gate([report()], None, STRICT)
    asked = asked_by(STRICT, approval="required", approval_hours=24.0)
    evidence = {**decision.model_dump(mode="json"), ASKED: asked}
    ledger.append(VERDICT, model_name="desk", actor="ada", reason="r", evidence=evidence)
    assert changes(ledger, decision, STRICT, approval="required", approval_hours=24.0) == ()
    assert changes(ledger, decision, STRICT, approval="none", approval_hours=24.0) == (
        'register.approval: "required" -> "none"',
    )


def test_what_an_older_version_did_not_write_down_is_said_to_be_unknown(ledger: Ledger) -> None:
    decision = gate([report()], None, STRICT)
    asked = {name: keys for name, keys in asked_by(STRICT).items() if name != "register"}
    evidence = {**decision.model_dump(mode="json"), ASKED: asked}
    ledger.append(VERDICT, model_name="desk", actor="ada", reason="r", evidence=evidence)
    assert changes(ledger, decision, STRICT)[0] == 'register.approval: "unknown" -> "none"'


def test_a_new_name_is_said_to_be_judged_by_floors_alone(ledger: Ledger) -> None:
    ledger.move_champion("desk", expected=None, new=1, actor="ada", reason="r", evidence={})
    decision = gate([report()], None, POLICY)
    asked = asked_by(POLICY)
    [said] = changes_since_champion(ledger, "other_desk", None, decision, asked)
    assert said.startswith("register.model_name other_desk has no champion, so the floors alone")
    assert said.endswith("the ledger has champions of desk")


def test_a_champion_whose_policy_nobody_wrote_down_is_said_so(ledger: Ledger) -> None:
    decision = gate([report()], None, POLICY)
    [said] = changes(ledger, decision, POLICY)
    assert said.startswith("the ledger has no verdict on the champion")
    judged(ledger, decision, None)
    [said] = changes(ledger, decision, POLICY)
    assert said.startswith("the ledger has no policy with its verdict")


def test_text_and_table_of_a_verdict_show_what_has_changed() -> None:
    found = Regated(
        candidate="2",
        fingerprint="f",
        verdict=Verdict.PROMOTE,
        recorded_verdict=Verdict.PROMOTE,
        same_policy=True,
        decision=gate([report()], None, POLICY),
        changes=("gate.superiority: [] -> []",),
    )
    head = "Asked otherwise than when the champion was judged:"
    assert f"{head}\n  - gate.superiority: [] -> []" in lines(found)
    assert f"**{head}**\n\n- gate.superiority: [] -> []" in markdown(found)
    unchanged = found.model_copy(update={"changes": ()})
    assert head not in lines(unchanged) + markdown(unchanged)
