"""Verdicts in the ledger: written once each time a candidate is judged, the last one counts."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registry_builders import MODEL

from pipeline_steps.registry.ledger import Ledger
from pipeline_steps.registry.verdicts import last_verdict, record_verdict


def judge(ledger: Ledger, candidate: str, champion: str) -> int:
    said = {"candidate_digest": candidate, "champion_digest": champion, "spent": {"d": 0.01}}
    return record_verdict(ledger, MODEL, actor="a", reason="HOLD", evidence=said).sequence


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz")), max_size=8))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_last_verdict_on_a_candidate_is_the_one_that_was_given_last(tmp_path, given_) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/{len(list(tmp_path.iterdir()))}.db")
    last: dict[str, str] = {}
    written = 0
    for candidate, champion in given_:
        judge(ledger, candidate, champion)
        written += last.get(candidate) != champion
        last[candidate] = champion
        for one, other in last.items():
            found = last_verdict(ledger, MODEL, one)
            assert found is not None
            assert found.evidence["champion_digest"] == other
    assert len(ledger.entries()) == written
    assert last_verdict(ledger, MODEL, "c") is None
