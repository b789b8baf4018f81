"""Approval by a person: one answer counts, time-out is a refusal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from registry_builders import MODEL, decision

from pipeline_steps.errors import PromotionError
from pipeline_steps.registry.approvals import (
    Approval,
    answer_request,
    approvals,
    expire_overdue,
    refuse_own_word,
    refuse_unapproved,
    request_approval,
)
from pipeline_steps.registry.ledger import Ledger
from pipeline_steps.registry.verdicts import record_verdict
from pipeline_steps.types import ModelVersion


def version(number: int) -> ModelVersion:
    return ModelVersion(
        name=MODEL, version=number, mlflow_run_id="r", model_uri="u", checkpoint_digest=f"d{number}"
    )


def ask(ledger: Ledger, number: int = 2, hours: float = 1.0) -> Approval:
    said = decision(version(number), version(1))
    return request_approval(
        ledger, version(number), said, actor="ada", hours=hours, report="report.html"
    )


def answer(ledger: Ledger, *, approve: bool, actor: str = "eve", number: int = 2) -> Approval:
    return answer_request(ledger, MODEL, number, approve=approve, actor=actor, reason="r")


def test_the_same_request_is_made_once(ledger: Ledger) -> None:
    assert ask(ledger).state == ask(ledger, hours=5.0).state == "waiting"
    assert len(ledger.entries()) == 1
    ask(ledger, number=3)
    assert [a.version for a in approvals(ledger, MODEL)] == [2, 3]


@pytest.mark.parametrize("approve", [True, False])
def test_the_first_answer_counts_and_may_be_repeated(ledger: Ledger, approve: bool) -> None:
    ask(ledger)
    first = answer(ledger, approve=approve)
    assert first.state == ("approved" if approve else "refused")
    assert answer(ledger, approve=approve, actor="bob").answer == first.answer
    with pytest.raises(PromotionError, match=f"was {first.state} already, by eve: r"):
        answer(ledger, approve=not approve, actor="bob")
    assert len(ledger.entries()) == 2
    assert ledger.verify() == []


def test_time_out_is_a_refusal(ledger: Ledger) -> None:
    asked = ask(ledger)
    assert expire_overdue(ledger, MODEL) == []
    late = datetime.now(UTC) + timedelta(hours=1, seconds=1)
    assert expire_overdue(ledger, MODEL, now=late) == [2]
    assert expire_overdue(ledger, MODEL, now=late) == []
    assert ask(ledger).state == "expired"
    assert asked.expires_at < late
    with pytest.raises(PromotionError, match="was expired already, by the clock"):
        answer(ledger, approve=True)
    with pytest.raises(PromotionError, match="of version 2 is expired"):
        refuse_unapproved(approvals(ledger, MODEL), 2, "d1")


def test_who_answers_too_late_is_told(ledger: Ledger) -> None:
    ask(ledger, hours=1e-9)
    with pytest.raises(PromotionError, match="was expired already, by the clock"):
        answer(ledger, approve=True)


def test_nobody_approves_what_nobody_asked_for(ledger: Ledger) -> None:
    ask(ledger, number=3)
    with pytest.raises(PromotionError, match="nobody asked for an approval of version 2"):
        answer(ledger, approve=True)


def test_an_approval_is_about_one_champion(ledger: Ledger) -> None:
    ask(ledger)
    answer(ledger, approve=True)
    found = approvals(ledger, MODEL)
    refuse_unapproved(found, 2, "d1")
    with pytest.raises(PromotionError, match="of version 2 is never made"):
        refuse_unapproved(found, 2, "d5")


def test_a_version_that_is_judged_anew_is_asked_about_anew(ledger: Ledger) -> None:
    def judge(champion: int) -> None:
        said = decision(version(2), version(champion)).model_dump(mode="json")
        record_verdict(ledger, MODEL, actor="ada", reason="PROMOTE", evidence=said)

    judge(1)
    ask(ledger)
    answer(ledger, approve=False)
    assert ask(ledger).state == "refused"  # the same verdict, the same answer
    judge(1)
    assert ask(ledger).state == "refused"
    judge(5)
    judge(1)
    assert ask(ledger).state == ask(ledger).state == "waiting"
    assert answer(ledger, approve=True).state == "approved"
    refuse_unapproved(approvals(ledger, MODEL), 2, "d1")


@pytest.mark.parametrize("person", ["ada", " Ada", "tom", "TOM"])
def test_who_trained_or_asked_cannot_be_the_second_pair_of_eyes(
    ledger: Ledger, person: str
) -> None:
    ledger.append(
        "registered", model_name=MODEL, actor="tom", reason="r", evidence={"version": 2}
    )  # fmt: skip
    ask(ledger)
    with pytest.raises(PromotionError, match=f"{person} proposed version 2"):
        refuse_own_word(ledger, MODEL, 2, person)


def test_another_person_is_and_so_is_who_proposed_another_version(ledger: Ledger) -> None:
    ask(ledger)
    refuse_own_word(ledger, MODEL, 2, "eve")
    refuse_own_word(ledger, MODEL, 3, "ada")
