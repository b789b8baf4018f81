"""Promotion: a version becomes champion, by the gate's verdict or by a person's word.

Of two racing promoters one wins; the other's failure is in the ledger too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import BaseModel, ConfigDict

from pipeline_steps.errors import PromotionError
from pipeline_steps.gate_types import GateDecision, Verdict
from pipeline_steps.registry.champions import PROMOTION, taken_out, version_of
from pipeline_steps.registry.ledger import Ledger, LedgerEntry
from pipeline_steps.registry.phases import (
    CHALLENGER,
    CHAMPION,
    PREVIOUS,
    IntendedMove,
    Mover,
)
from pipeline_steps.registry.smoke_test import SmokeRow
from pipeline_steps.registry.tracking import Tracker
from pipeline_steps.types import ModelVersion

__all__ = ["CHALLENGER", "CHAMPION", "PREVIOUS", "Promotion", "follow_ledger", "promote"]


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
    decision: GateDecision | None,
    *,
    smoke_rows: Sequence[SmokeRow],
    actor: str,
    timeout: float = 300.0,
    override: str | None = None,
    at_boundary: Callable[[str], None] = lambda _: None,
) -> Promotion:
    """Return the promotion of a version after the registered artifact has proved itself.

    Before the champion moves, the one that would be gone back to is loaded and asked in a fresh
    process too; the ledger says how that went.

    Parameters
    ----------
    tracker, ledger
        The registry and the ledger.
    version : ModelVersion
        What becomes champion.
    decision : GateDecision or None
        Its verdict must be PROMOTE, about this checkpoint and against today's champion.
    smoke_rows : sequence of SmokeRow
        Recorded predictions that the artifact must repeat in a fresh process.
    actor : str
        Who promotes.
    timeout : float
        Seconds for each smoke test.
    override : str, optional
        Why a person promotes it whatever the gate said; it is written to the ledger. The artifact
        must prove itself all the same.
    at_boundary : callable
        Told the name of each phase that has ended; tests kill the process there.

    Raises
    ------
    PromotionError
        If the decision does not allow it, the version was rolled back, the artifact fails, or
        another promoter was first.
    """
    mover = Mover(tracker, ledger, actor, timeout, at_boundary)
    moves = ledger.moves(version.name)
    last = moves[-1] if moves else None
    if last is not None and version_of(last) == version.version:
        mover.follow(version.name)
        return Promotion(version=version.version, previous=last.evidence["previous"], moved=False)
    if override is None:
        _refuse_rolled_back(moves, version)
        decision = _allowing(tracker, version, decision, last)
    move = mover.move(_intended(version, last, decision, smoke_rows, override))
    mover.follow(version.name)
    return Promotion(version=version.version, previous=move.evidence["previous"], moved=True)


def follow_ledger(
    tracker: Tracker,
    ledger: Ledger,
    model_name: str,
    *,
    actor: str,
    at_boundary: Callable[[str], None] = lambda _: None,
) -> LedgerEntry | None:
    """Return the last move of the champion after the aliases followed it; see :class:`Mover`."""
    return Mover(tracker, ledger, actor, at_boundary=at_boundary).follow(model_name)


def _intended(
    version: ModelVersion,
    last: LedgerEntry | None,
    decision: GateDecision | None,
    rows: Sequence[SmokeRow],
    override: str | None,
) -> IntendedMove:
    evidence = {} if decision is None else {"policy_digest": decision.policy_digest}
    if override is not None:
        verdict = None if decision is None else decision.verdict
        evidence |= {"override": True, "verdict": verdict}  # type: ignore[dict-item]
        reason = f"by hand: {override}"
    else:
        reason = "" if decision is None else "; ".join(decision.reasons)
    return IntendedMove(PROMOTION, version, last, reason, rows, evidence)


def _refuse_rolled_back(moves: Sequence[LedgerEntry], version: ModelVersion) -> None:
    rollback = taken_out(moves, version.version)
    if rollback is not None:
        raise PromotionError(
            f"version {version.version} was taken out of service by {rollback.actor} on "
            f"{rollback.created_at[:19]}: {rollback.reason}",
            expected="a version that nobody rolled back: the gate has not seen what people saw",
            fix=f"holdfast promote {version.version} --override --reason 'WHY IT IS FIT NOW'",
        )


def _allowing(
    tracker: Tracker,
    version: ModelVersion,
    decision: GateDecision | None,
    last: LedgerEntry | None,
) -> GateDecision:
    """Return the decision if it lets this version become champion today."""
    if decision is None:
        raise PromotionError(
            f"the gate has not judged version {version.version}",
            expected="a verdict PROMOTE in the ledger",
            fix="holdfast train; or, against the gate: "
            f"holdfast promote {version.version} --override --reason WHY",
        )
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
            fix=f"judge this version again: holdfast judge {version.version}",
        )
    current = None if last is None else version_of(last)
    champion = None if current is None else tracker.version(version.name, current)
    if decision.champion_digest != (None if champion is None else champion.checkpoint_digest):
        raise PromotionError(
            f"the decision was made against another champion than version {current}",
            expected="a decision against today's champion",
            fix=f"judge this version again: holdfast judge {version.version}",
        )
    return decision
