"""Promotion in phases: intent, smoke test, compare-and-set, aliases, confirmation.

Killed at any boundary, the next call converges: before the compare-and-set the old champion stands,
after it the new one does and the aliases follow. Of two racing promoters one wins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import BaseModel, ConfigDict

from pipeline_steps.errors import PromotionError
from pipeline_steps.registry.ledger import CHAMPION_MOVED, Ledger
from pipeline_steps.registry.smoke_test import SmokeRow, smoke_test
from pipeline_steps.registry.tracking import Tracker
from pipeline_steps.types import GateDecision, ModelVersion, Verdict

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
_CONFIRMED = "promotion_confirmed"


class Promotion(BaseModel):
    """What a promotion did."""

    model_config = ConfigDict(frozen=True)

    version: int
    previous: int | None
    moved: bool


def promote(  # noqa: PLR0913 - keywords with defaults
    tracker: Tracker,
    ledger: Ledger,
    version: ModelVersion,
    decision: GateDecision,
    *,
    smoke_rows: Sequence[SmokeRow],
    actor: str,
    timeout: float = 300.0,
    at_boundary: Callable[[str], None] = lambda _: None,
) -> Promotion:
    """Return the promotion of a version after the registered artifact has proved itself.

    Parameters
    ----------
    tracker, ledger
        The registry and the ledger.
    version : ModelVersion
        What becomes champion.
    decision : GateDecision
        Its verdict must be PROMOTE, about this checkpoint and against today's champion.
    smoke_rows : sequence of SmokeRow
        Recorded predictions that the artifact must repeat in a fresh process.
    actor : str
        Who promotes.
    timeout : float
        Seconds for the smoke test.
    at_boundary : callable
        Told the name of each phase that has ended; tests kill the process there.

    Raises
    ------
    PromotionError
        If the decision does not allow it, the artifact fails, or another promoter was first.
    """
    current = ledger.champion(version.name)
    if current != version.version:
        _refuse_stale(tracker, version, decision, current)
        _prove(tracker, ledger, version, smoke_rows, actor, timeout, at_boundary)
        ledger.move_champion(
            version.name,
            expected=current,
            new=version.version,
            actor=actor,
            reason="; ".join(decision.reasons),
            evidence={
                "checkpoint_digest": version.checkpoint_digest,
                "policy_digest": decision.policy_digest,
            },
        )
        at_boundary("moved")
    previous = _previous_champion(ledger, version)
    _move_aliases(tracker, version, previous, at_boundary)
    _confirm(ledger, version, previous, actor)
    return Promotion(version=version.version, previous=previous, moved=current != version.version)


def _refuse_stale(
    tracker: Tracker, version: ModelVersion, decision: GateDecision, current: int | None
) -> None:
    if decision.verdict is not Verdict.PROMOTE:
        raise PromotionError(
            f"the gate says {decision.verdict} of version {version.version}",
            expected="PROMOTE",
            fix="read the reasons in the report; the policy is section gate of params.yaml",
        )
    if decision.candidate_digest != version.checkpoint_digest:
        raise PromotionError(
            f"the decision is about another checkpoint than version {version.version}",
            expected="a decision about the registered checkpoint",
            fix="judge this version again: holdfast train",
        )
    champion = None if current is None else tracker.version(version.name, current)
    digest = None if champion is None else champion.checkpoint_digest
    if decision.champion_digest != digest:
        raise PromotionError(
            f"the decision was made against another champion than version {current}",
            expected="a decision against today's champion",
            fix="judge the candidate again: holdfast train",
        )


def _prove(
    tracker: Tracker,
    ledger: Ledger,
    version: ModelVersion,
    smoke_rows: Sequence[SmokeRow],
    actor: str,
    timeout: float,
    at_boundary: Callable[[str], None],
) -> None:
    evidence = {"version": version.version, "checkpoint_digest": version.checkpoint_digest}
    words = f"version {version.version} is to become champion"
    ledger.append(
        "promotion_intent", model_name=version.name, actor=actor, reason=words, evidence=evidence
    )
    at_boundary("intent")
    result = smoke_test(version.model_uri, smoke_rows, tracker.tracking_uri, timeout=timeout)
    if not result.passed:
        ledger.append(
            "promotion_failed",
            model_name=version.name,
            actor=actor,
            reason=result.reason,
            evidence=evidence,
        )
        raise PromotionError(
            f"the smoke test of version {version.version} failed: {result.reason}",
            expected="a registered artifact that repeats its recorded predictions",
            fix="register it anew: remove the version in MLflow, then: holdfast train",
        )
    at_boundary("smoke_test")


def _previous_champion(ledger: Ledger, version: ModelVersion) -> int | None:
    """Return who was champion before the version: from the ledger, never "the number before"."""
    moves = [e for e in ledger.entries(version.name) if e.event == CHAMPION_MOVED]
    last = next(move for move in reversed(moves) if move.evidence["version"] == version.version)
    previous: int | None = last.evidence["previous"]
    return previous


def _move_aliases(
    tracker: Tracker,
    version: ModelVersion,
    previous: int | None,
    at_boundary: Callable[[str], None],
) -> None:
    """Let the aliases follow the ledger; every step can be repeated."""
    if previous is not None:
        tracker.set_alias(version.name, PREVIOUS, previous)
    tracker.set_alias(version.name, CHAMPION, version.version)
    at_boundary("alias")
    challenger = tracker.version_by_alias(version.name, CHALLENGER)
    if challenger is not None and challenger.version == version.version:
        tracker.delete_alias(version.name, CHALLENGER)


def _confirm(ledger: Ledger, version: ModelVersion, previous: int | None, actor: str) -> None:
    entries = ledger.entries(version.name)
    move = max(e.sequence for e in entries if e.event == CHAMPION_MOVED)
    if any(e.event == _CONFIRMED and e.sequence > move for e in entries):
        return
    ledger.append(
        _CONFIRMED,
        model_name=version.name,
        actor=actor,
        reason=f"version {version.version} is champion",
        evidence={"version": version.version, "previous": previous},
    )
