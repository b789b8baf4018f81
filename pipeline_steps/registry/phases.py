"""The phases in which a champion moves: intent, smoke test, compare-and-set, aliases, confirmation.

Promotions and rollbacks go through the same ones. Killed at any boundary, the next call
converges: before the compare-and-set the old champion stands, after it the new one does and the
aliases follow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline_steps.errors import PromotionError, RegistryError
from pipeline_steps.registry.anchors import anchor
from pipeline_steps.registry.champions import (
    PROMOTION,
    answers_digest_of,
    kind_of,
    version_of,
    way_back,
)
from pipeline_steps.registry.ledger import Ledger
from pipeline_steps.registry.ledger_chain import LedgerEntry
from pipeline_steps.registry.recorded_answers import answers_digest, recorded_answers
from pipeline_steps.registry.smoke_test import SmokeRow, smoke_test
from pipeline_steps.registry.tracking import Tracker
from pipeline_steps.types import ModelVersion

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"


@dataclass(frozen=True)
class IntendedMove:
    """A move of the champion that was decided: to which version, after which move, and why."""

    kind: str
    version: ModelVersion
    last: LedgerEntry | None
    reason: str
    rows: Sequence[SmokeRow]
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def current(self) -> int | None:
        """The version that was champion when this was decided."""
        return None if self.last is None else version_of(self.last)


@dataclass(frozen=True)
class Mover:
    """Moves champions in one registry and ledger, in somebody's name.

    Parameters
    ----------
    tracker, ledger
        The registry and the ledger.
    actor : str
        Who moves the champion.
    timeout : float
        Seconds for each smoke test.
    at_boundary : callable
        Told the name of each phase that has ended; tests kill the process there.
    """

    tracker: Tracker
    ledger: Ledger
    actor: str
    timeout: float = 300.0
    at_boundary: Callable[[str], None] = lambda _: None

    def move(self, intended: IntendedMove) -> LedgerEntry:
        """Return the move after the registered artifact proved itself; the aliases follow later.

        Raises
        ------
        PromotionError
            If the artifact fails, or another promoter was first; the ledger says so too.
        """
        version, kind = intended.version, intended.kind
        self._note(f"{kind}_intent", version, "is to become champion")
        self.at_boundary("intent")
        try:
            self._prove(version, intended.rows)
            self.at_boundary("smoke_test")
            if kind == PROMOTION and intended.current is not None:
                self._rehearse(version.name, intended.current)
                self.at_boundary("rehearsal")
            move = self._compare_and_set(intended)
        except PromotionError as error:
            self._note(f"{kind}_failed", version, f"does not become champion: {error.received}")
            raise
        self.at_boundary("moved")
        return move

    def follow(self, model_name: str) -> LedgerEntry | None:
        """Return the last move of the champion after the aliases followed it and it was confirmed.

        Every step can be repeated; without a champion nothing happens. If another promoter moves
        the champion while the aliases are set, they are set again: whoever writes them last has
        read the ledger last.
        """
        moves = self.ledger.moves(model_name)
        if not moves:
            return None
        self._set_aliases(model_name, moves)
        if self.ledger.last_move(model_name) != moves[-1]:
            return self.follow(model_name)
        self._confirm(moves[-1])
        self.at_boundary("confirmed")
        anchor(self.tracker, self.ledger, model_name)
        return moves[-1]

    def _prove(self, version: ModelVersion, rows: Sequence[SmokeRow]) -> None:
        uri = self.tracker.tracking_uri
        result = smoke_test(version.model_uri, rows, uri, timeout=self.timeout)
        if not result.passed:
            raise PromotionError(
                f"the smoke test of version {version.version} failed: {result.reason}",
                expected="a registered artifact that repeats its recorded predictions",
                fix="register it anew: remove the version in MLflow, then: holdfast train",
            )

    def _rehearse(self, model_name: str, current: int) -> None:
        """Write down whether today's champion could be gone back to, as a rollback would find it.

        It is loaded and asked too, and its recorded answers must be those that the ledger knows. A
        way back that is broken is no reason to keep a champion that cannot be loaded anew.
        """
        digest = answers_digest_of(self.ledger.moves(model_name), current)
        event, found = "rollback_rehearsed", "loaded and asked in a fresh process, as it would be"
        try:
            champion = self.tracker.version(model_name, current)
            self._prove(champion, recorded_answers(self.tracker, champion, digest))
        except RegistryError as error:
            event, found = "rollback_rehearsal_failed", error.received
        self.ledger.append(
            event,
            model_name=model_name,
            actor=self.actor,
            reason=f"the way back to version {current}: {found}",
            evidence={"version": current},
        )

    def _compare_and_set(self, intended: IntendedMove) -> LedgerEntry:
        return self.ledger.move_champion(
            intended.version.name,
            expected=intended.current,
            new=intended.version.version,
            actor=self.actor,
            reason=intended.reason,
            evidence={
                "kind": intended.kind,
                "checkpoint_digest": intended.version.checkpoint_digest,
                "answers_digest": answers_digest(intended.rows),
                **intended.evidence,
            },
            after=None if intended.last is None else intended.last.sequence,
        )

    def _set_aliases(self, name: str, moves: Sequence[LedgerEntry]) -> None:
        """Set the aliases as the ledger says; ``previous`` is where a rollback would go."""
        previous, champion = way_back(moves), version_of(moves[-1])
        aliases = self.tracker.aliases(name)
        if previous is not None:
            self.tracker.set_alias(name, PREVIOUS, previous)
        elif PREVIOUS in aliases:
            self.tracker.delete_alias(name, PREVIOUS)
        self.at_boundary("previous")
        self.tracker.set_alias(name, CHAMPION, champion)
        if aliases.get(CHALLENGER) == champion:
            self.tracker.delete_alias(name, CHALLENGER)
        self.at_boundary("alias")

    def _confirm(self, move: LedgerEntry) -> None:
        self.ledger.append_once(
            f"{kind_of(move)}_confirmed",
            model_name=move.model_name,
            actor=self.actor,
            reason=f"version {move.evidence['version']} is champion",
            evidence={
                "version": move.evidence["version"],
                "previous": move.evidence["previous"],
                "move": move.sequence,
            },
        )

    def _note(self, event: str, version: ModelVersion, words: str) -> None:
        self.ledger.append(
            event,
            model_name=version.name,
            actor=self.actor,
            reason=f"version {version.version} {words}",
            evidence={"version": version.version, "checkpoint_digest": version.checkpoint_digest},
        )
