"""Promotion in phases: intent, smoke test, compare-and-set, aliases, confirmation.

Killed at any boundary, the next call converges: before the compare-and-set the old champion stands,
after it the new one does and the aliases follow. Of two racing promoters one wins; the other's
failure is in the ledger too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import BaseModel, ConfigDict

from pipeline_steps.errors import PromotionError
from pipeline_steps.registry.ledger import Ledger, LedgerEntry
from pipeline_steps.registry.smoke_test import SmokeRow, smoke_test
from pipeline_steps.registry.tracking import Tracker
from pipeline_steps.types import GateDecision, ModelVersion, Verdict

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"


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
    move = ledger.last_move(version.name)
    moved = move is None or move.evidence["version"] != version.version
    if move is None or moved:
        current = None if move is None else int(move.evidence["version"])
        _refuse_stale(tracker, version, decision, current)
        _append(ledger, "promotion_intent", version, actor, "is to become champion")
        at_boundary("intent")
        try:
            _prove(tracker, version, smoke_rows, timeout)
            at_boundary("smoke_test")
            move = _move(ledger, version, decision, current, actor)
        except PromotionError as error:
            _append(ledger, "promotion_failed", version, actor, f"stays out: {error.received}")
            raise
        at_boundary("moved")
    follow_ledger(tracker, ledger, version.name, actor=actor, at_boundary=at_boundary)
    return Promotion(version=version.version, previous=move.evidence["previous"], moved=moved)


def follow_ledger(
    tracker: Tracker,
    ledger: Ledger,
    model_name: str,
    *,
    actor: str,
    at_boundary: Callable[[str], None] = lambda _: None,
) -> LedgerEntry | None:
    """Return the last move of the champion after the aliases followed it and it was confirmed.

    Every step can be repeated; without a champion nothing happens. If another promoter moves the
    champion while the aliases are set, they are set again: whoever writes them last has read the
    ledger last.
    """
    move = ledger.last_move(model_name)
    if move is None:
        return None
    _move_aliases(tracker, move)
    at_boundary("alias")
    if ledger.last_move(model_name) != move:
        return follow_ledger(tracker, ledger, model_name, actor=actor, at_boundary=at_boundary)
    ledger.append_once(
        "promotion_confirmed",
        model_name=model_name,
        actor=actor,
        reason=f"version {move.evidence['version']} is champion",
        evidence={
            "version": move.evidence["version"],
            "previous": move.evidence["previous"],
            "move": move.sequence,
        },
    )
    return move


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
    tracker: Tracker, version: ModelVersion, smoke_rows: Sequence[SmokeRow], timeout: float
) -> None:
    result = smoke_test(version.model_uri, smoke_rows, tracker.tracking_uri, timeout=timeout)
    if not result.passed:
        raise PromotionError(
            f"the smoke test of version {version.version} failed: {result.reason}",
            expected="a registered artifact that repeats its recorded predictions",
            fix="register it anew: remove the version in MLflow, then: holdfast train",
        )


def _move(
    ledger: Ledger,
    version: ModelVersion,
    decision: GateDecision,
    current: int | None,
    actor: str,
) -> LedgerEntry:
    return ledger.move_champion(
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


def _append(ledger: Ledger, event: str, version: ModelVersion, actor: str, words: str) -> None:
    ledger.append(
        event,
        model_name=version.name,
        actor=actor,
        reason=f"version {version.version} {words}",
        evidence={"version": version.version, "checkpoint_digest": version.checkpoint_digest},
    )


def _move_aliases(tracker: Tracker, move: LedgerEntry) -> None:
    """Set the aliases as the ledger says; who was before is in it, not "the number before"."""
    name, champion, previous = move.model_name, move.evidence["version"], move.evidence["previous"]
    if previous is not None:
        tracker.set_alias(name, PREVIOUS, previous)
    tracker.set_alias(name, CHAMPION, champion)
    challenger = tracker.version_by_alias(name, CHALLENGER)
    if challenger is not None and challenger.version == champion:
        tracker.delete_alias(name, CHALLENGER)
