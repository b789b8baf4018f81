"""``holdfast promote`` and ``holdfast rollback``: a person moves the champion."""

from __future__ import annotations

from flows.approval import answer, is_approved, refuse_the_proposer
from flows.judging import evaluate_digest
from flows.registry_access import open_ledger, open_mover, open_tracker
from flows.retraining.version_policy import version_policy
from flows.workspace import Workspace
from pipeline_steps.errors import PromotionError, UsageError
from pipeline_steps.gate_types import GateDecision, Verdict
from pipeline_steps.registry.approvals import approvals, refuse_unapproved
from pipeline_steps.registry.gate import policy_digest
from pipeline_steps.registry.promote import Promotion, promote
from pipeline_steps.registry.recorded_answers import recorded_answers
from pipeline_steps.registry.rollback import Rollback, rollback
from pipeline_steps.registry.verdicts import decision_of, last_verdict
from pipeline_steps.types import ModelVersion


def promote_by_hand(workspace: Workspace, number: int, *, override: str | None) -> Promotion:
    """Return the promotion of a version on the verdict in the ledger, or on a person's word.

    No lock of the workspace is taken: a training that takes hours must not hold up a person; the
    compare-and-set in the ledger decides between two that act at once.

    Raises
    ------
    PromotionError
        If the last verdict on this version is not PROMOTE against today's champion and by today's
        policy, the artifact fails its smoke test, or another promoter was first.
    """
    tracker, ledger = open_tracker(workspace), open_ledger(workspace)
    version = tracker.version(workspace.params.register_.model_name, number)
    decision = last_decision(workspace, version)
    if override is None and ledger.champion(version.name) != number:
        _refuse_another_question(workspace, number, decision)
        _refuse_without_approval(workspace, number, decision)
    if override is not None:
        refuse_the_proposer(workspace, number, workspace.settings.actor)
    return promote(
        tracker,
        ledger,
        version,
        decision,
        smoke_rows=recorded_answers(tracker, version),
        actor=workspace.settings.actor,
        timeout=workspace.settings.smoke_test_timeout_seconds,
        override=override,
    )


def approve_version(workspace: Workspace, number: int, by: str | None, reason: str) -> Promotion:
    """Return the promotion of a version that waited, after a person approved it.

    Killed between the two, the same command goes on.

    Raises
    ------
    PromotionError
        If nothing waits, or the promotion is refused; the approval stands in the ledger then.
    UsageError
        If somebody answers in another's name where two pairs of eyes are asked for.
    """
    _refuse_borrowed_name(workspace, by)
    answer(workspace, number, approve=True, by=by, reason=reason)
    return promote_by_hand(workspace, number, override=None)


def refuse_version(workspace: Workspace, number: int, by: str | None, reason: str) -> str:
    """Return what became of a version that a person refused."""
    found = answer(workspace, number, approve=False, by=by, reason=reason)
    return f"version {number} is refused by {found.answer.actor if found.answer else by}"


def roll_back(workspace: Workspace, to: int | None, reason: str) -> Rollback:
    """Return the rollback to a version that was champion, by default the last one."""
    name = workspace.params.register_.model_name
    return rollback(open_mover(workspace), name, to=to, reason=reason)


def last_decision(workspace: Workspace, version: ModelVersion) -> GateDecision | None:
    """Return the gate's last decision about a version that the ledger knows, or ``None``."""
    entry = last_verdict(open_ledger(workspace), version.name, version.checkpoint_digest)
    return None if entry is None else decision_of(entry)


def _fingerprint(workspace: Workspace, version: ModelVersion) -> str:
    entry = last_verdict(open_ledger(workspace), version.name, version.checkpoint_digest)
    return "" if entry is None else str(entry.evidence.get("fingerprint", ""))


def _refuse_borrowed_name(workspace: Workspace, by: str | None) -> None:
    """Refuse ``--by`` of another than who runs the command, where who it is decides."""
    actor = workspace.settings.actor
    if workspace.params.register_.approval == "four_eyes" and by not in (None, actor):
        raise UsageError(
            f"--by {by}, in a command that {actor} runs",
            expected="who approves runs the command, as register.approval: four_eyes asks for",
            fix=f"leave --by out, or let {by} run it (HOLDFAST_ACTOR names who that is)",
        )


def _refuse_another_question(
    workspace: Workspace, number: int, decision: GateDecision | None
) -> None:
    """Refuse a PROMOTE that was an answer to something else than is asked here today.

    A pull request may propose a laxer policy, and is judged by it; the ledger has that verdict
    though the policy was never merged. Other refusals come from the promotion itself.
    """
    if decision is None or decision.verdict is not Verdict.PROMOTE:
        return
    asked = policy_digest(version_policy(workspace, number)), evaluate_digest(workspace)
    if (decision.policy_digest, decision.evaluate_digest) != asked:
        raise PromotionError(
            f"the verdict on version {number} was made by another policy than today's",
            expected="a verdict by the sections gate and evaluate of params.yaml",
            fix=f"judge it by them: holdfast judge {number}",
        )


def _refuse_without_approval(
    workspace: Workspace, number: int, decision: GateDecision | None
) -> None:
    """Refuse what a person has not approved; other refusals come from the promotion itself."""
    if workspace.params.register_.approval == "none":
        return
    if decision is not None and decision.verdict is Verdict.PROMOTE:
        name = workspace.params.register_.model_name
        version = open_tracker(workspace).version(name, number)
        report = workspace.report_path(_fingerprint(workspace, version))
        is_approved(workspace, version, decision, report)  # asks, where nobody has yet
        refuse_unapproved(approvals(open_ledger(workspace), name), number, decision.champion_digest)


def override_reason(*, override: bool, reason: str | None) -> str | None:
    """Return why the gate is overridden, or ``None``; without a reason nobody may.

    Raises
    ------
    UsageError
        If only one of the two was given.
    """
    if override and not (reason or "").strip():
        raise UsageError(
            "--override without --reason",
            expected="a reason, which the ledger keeps",
            fix="holdfast promote VERSION --override --reason 'WHY'",
        )
    if reason is not None and not override:
        raise UsageError(
            "--reason without --override",
            expected="a promotion on the gate's reasons, or --override with yours",
            fix="leave --reason out, or add --override",
        )
    return reason if override else None


def promotion_lines(done: Promotion) -> str:
    """Return what a promotion did in a line."""
    if not done.moved:
        return f"version {done.version} is champion already; its aliases are set"
    before = "none" if done.previous is None else f"version {done.previous}"
    return f"version {done.version} is champion (before: {before})"


def rollback_lines(done: Rollback) -> str:
    """Return what a rollback did, and how to go further back."""
    if done.moved:
        return f"version {done.version} is champion again; version {done.previous} is out"
    return (
        f"version {done.version} is champion already, nothing was moved; its aliases are set\n"
        "to go further back: holdfast rollback --to VERSION"
    )
