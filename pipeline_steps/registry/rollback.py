"""Rollback: the last version that really was champion becomes it again, in the same phases.

Which one that is, the ledger says: "the number before" may be a candidate that nobody ever served.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from pipeline_steps.errors import PromotionError
from pipeline_steps.registry.champions import (
    ROLLBACK,
    answers_digest_of,
    kind_of,
    version_of,
    way_back,
)
from pipeline_steps.registry.ledger_chain import LedgerEntry
from pipeline_steps.registry.phases import IntendedMove, Mover
from pipeline_steps.registry.recorded_answers import recorded_answers


class Rollback(BaseModel):
    """What a rollback did: ``previous`` was champion before it."""

    model_config = ConfigDict(frozen=True)

    version: int
    previous: int | None
    moved: bool


def rollback(mover: Mover, model_name: str, *, to: int | None = None, reason: str) -> Rollback:
    """Return the rollback after the version that was gone back to proved itself.

    It can be repeated: where today's champion came by a rollback, a second one without ``to``
    changes nothing, so two people who act at once go back one step and not two.

    Parameters
    ----------
    mover : Mover
        Registry, ledger, and who asks for it.
    model_name : str
        The registered model.
    to : int, optional
        A version that was champion; by default the last one that was, before today's.
    reason : str
        Why; it is written to the ledger.

    Raises
    ------
    PromotionError
        If there is nothing to go back to, the version never was champion, its artifact fails, or
        somebody else moved the champion meanwhile.
    """
    moves = mover.ledger.moves(model_name)
    if not moves:
        raise PromotionError(
            f"{model_name} has no champion",
            expected="a champion to go back from",
            fix="holdfast train makes one; holdfast ledger log shows what was decided",
        )
    last = moves[-1]
    target = _target(moves, to)
    if target == version_of(last):
        mover.follow(model_name)
        return Rollback(version=target, previous=last.evidence["previous"], moved=False)
    version = mover.tracker.version(model_name, target)
    rows = recorded_answers(mover.tracker, version, answers_digest_of(moves, target))
    move = mover.move(IntendedMove(ROLLBACK, version, last, reason, rows))
    mover.follow(model_name)
    return Rollback(version=target, previous=move.evidence["previous"], moved=True)


def _target(moves: Sequence[LedgerEntry], to: int | None) -> int:
    last = moves[-1]
    champions = sorted({version_of(move) for move in moves})
    if to is not None:
        if to not in champions:
            raise PromotionError(
                f"version {to} never was champion of {last.model_name}",
                expected=f"one that was: {', '.join(map(str, champions))}",
                fix=f"holdfast promote {to} makes it champion, if the gate lets it pass",
            )
        return to
    if kind_of(last) == ROLLBACK:
        return version_of(last)
    found = way_back(moves)
    if found is None:
        raise PromotionError(
            f"version {version_of(last)} is the first champion of {last.model_name}",
            expected="a version that was champion before it",
            fix="train a better one (holdfast train), or stop serving",
        )
    return found
