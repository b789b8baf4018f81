"""Approval by a person between the gate and the promotion: asked for, shown, answered, lapsed."""

from __future__ import annotations

from pathlib import Path

from flows.registry_access import open_ledger, open_tracker
from flows.workspace import Workspace
from pipeline_steps.errors import PromotionError
from pipeline_steps.gate_types import GateDecision
from pipeline_steps.registry.anchors import anchor
from pipeline_steps.registry.approvals import (
    Approval,
    answer_request,
    approvals,
    expire_overdue,
    refuse_own_word,
    request_approval,
)
from pipeline_steps.types import ModelVersion


def is_approved(
    workspace: Workspace, version: ModelVersion, decision: GateDecision, report: Path
) -> bool:
    """Return whether the version may become champion as far as people are concerned.

    Where the policy asks for a person, the request is made; until its answer it is ``False``.
    """
    policy = workspace.params.register_
    if policy.approval == "none":
        return True
    lapse(workspace)
    ledger = open_ledger(workspace)
    found = request_approval(
        ledger,
        version,
        decision,
        actor=workspace.settings.actor,
        hours=policy.approval_hours,
        report=str(report),
    )
    anchor(open_tracker(workspace), ledger, version.name)
    return found.state == "approved"


def lapse(workspace: Workspace) -> list[int]:
    """Return the versions whose time to be approved is over; they are no challengers any more."""
    name = workspace.params.register_.model_name
    expired = expire_overdue(open_ledger(workspace), name)
    for version in expired:
        dismiss(workspace, version)
    return expired


def answer(
    workspace: Workspace, number: int, *, approve: bool, by: str | None, reason: str
) -> Approval:
    """Return the request about a version after a person's answer; a refused one is dismissed.

    Raises
    ------
    PromotionError
        If nobody asked, it was answered otherwise, or its time is over: that is a refusal. If two
        pairs of eyes are asked for, and it is the proposer who approves.
    """
    lapse(workspace)
    name = workspace.params.register_.model_name
    ledger = open_ledger(workspace)
    actor = by or workspace.settings.actor
    if approve:
        refuse_the_proposer(workspace, number, actor)
    found = answer_request(ledger, name, number, approve=approve, actor=actor, reason=reason)
    if not approve:
        dismiss(workspace, number)
    anchor(open_tracker(workspace), ledger, name)
    return found


def answer_in_a_form(
    workspace: Workspace, number: int, *, approve: bool, by: str, reason: str
) -> Approval:
    """Return the request about a version after an answer in a form that anybody can fill in.

    Raises
    ------
    PromotionError
        As for :func:`answer`, and if it approves where two pairs of eyes are asked for: whose eyes
        they are, a form does not know.
    """
    if approve and workspace.params.register_.approval == "four_eyes":
        raise PromotionError(
            f"an approval of version {number} in a form, in the name of {by}",
            expected="who approves runs the command, as register.approval: four_eyes asks for",
            fix=f"holdfast approve {number} (the request waits on); a form can only refuse",
        )
    return answer(workspace, number, approve=approve, by=by, reason=reason)


def refuse_the_proposer(workspace: Workspace, number: int, person: str) -> None:
    """Refuse a person who proposed a version, where the policy asks for two pairs of eyes."""
    if workspace.params.register_.approval == "four_eyes":
        name = workspace.params.register_.model_name
        refuse_own_word(open_ledger(workspace), name, number, person)


def waiting_request(workspace: Workspace, number: int, *, still: bool = True) -> Approval:
    """Return the last request about a version; with ``still``, only one that has no answer.

    Raises
    ------
    PromotionError
        If there is none.
    """
    lapse(workspace)
    name = workspace.params.register_.model_name
    found = [a for a in approvals(open_ledger(workspace), name) if a.version == number]
    if not found or (still and found[-1].state != "waiting"):
        raise PromotionError(
            f"no request about version {number} of {name} waits for an answer",
            expected="a version that the gate lets pass, where register.approval asks for a person",
            fix="holdfast ledger log shows what was asked and answered",
        )
    return found[-1]


def waiting_requests(workspace: Workspace) -> list[Approval]:
    """Return the requests that have no answer, oldest first."""
    name = workspace.params.register_.model_name
    return [a for a in approvals(open_ledger(workspace), name) if a.state == "waiting"]


def dismiss(workspace: Workspace, number: int) -> None:
    """Take the alias ``challenger`` from a version, if it has it."""
    tracker, name = open_tracker(workspace), workspace.params.register_.model_name
    if tracker.aliases(name).get("challenger") == number:
        tracker.delete_alias(name, "challenger")


def approval_lines(workspace: Workspace, number: int) -> list[str]:
    """Return what the last request about a version is at, in a line; nothing without one."""
    name = workspace.params.register_.model_name
    found = [a for a in approvals(open_ledger(workspace), name) if a.version == number]
    if not found:
        return []
    last = found[-1]
    if last.answer is not None:
        return [f"approval: {last.state} by {last.answer.actor}: {last.answer.reason}"]
    until = f"{last.expires_at:%Y-%m-%d %H:%M} UTC"
    return [f"approval: waits until {until} for: holdfast approve {number}, or refuse"]
