"""The ledger of decisions: append-only, hash-chained, in SQLite or PostgreSQL.

An alias in a registry knows no author, time or past; the ledger does. Who is champion follows from
its last ``champion_moved`` entry, which is written only if the champion is still the one that the
decision was made against (compare-and-set inside one transaction).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from pipeline_steps.digests import value_digest
from pipeline_steps.errors import PromotionError
from pipeline_steps.registry.ledger_chain import GENESIS, LedgerEntry, Link, chain_problems
from pipeline_steps.registry.ledger_database import LedgerDatabase
from pipeline_steps.registry.ledger_rows import canonical, entry_of, unaltered, was_altered
from pipeline_steps.types import Value

__all__ = ["CHAMPION_MOVED", "GENESIS", "Draft", "Ledger", "LedgerEntry", "Rule"]

CHAMPION_MOVED = "champion_moved"


class Draft(Value):
    """An entry to be appended: what happened, who did it, why, on what evidence."""

    event: str
    actor: str
    reason: str
    evidence: dict[str, Any]


Rule = Callable[[Sequence[LedgerEntry]], Draft | LedgerEntry]
"""Decides from the entries so far: a draft is appended, an entry stands as it is."""


class Ledger:
    """Reads and appends decisions.

    Parameters
    ----------
    url : str
        SQLAlchemy URL: ``sqlite:////absolute/path`` or ``postgresql+psycopg://...``.

    Raises
    ------
    RegistryError
        Here and in every method, if the database cannot be opened, read or written.
    """

    def __init__(self, url: str) -> None:
        self.database = LedgerDatabase(url)
        self.table = self.database.table

    def append(
        self,
        event: str,
        *,
        model_name: str,
        actor: str,
        reason: str,
        evidence: dict[str, Any],
    ) -> LedgerEntry:
        """Return the entry after appending it to the chain.

        Parameters
        ----------
        event : str
            What happened, for example ``gate_verdict``.
        model_name, actor, reason : str
            About which model, by whom and why.
        evidence : dict
            Digests and numbers, JSON-serialisable; no payloads and no secrets.
        """
        with self.database.writing() as connection:
            return self._append(connection, event, model_name, actor, reason, evidence)

    def append_once(
        self,
        event: str,
        *,
        model_name: str,
        actor: str,
        reason: str,
        evidence: dict[str, Any],
        unless: Sequence[str] = (),
    ) -> LedgerEntry:
        """Return the entry of this event with this evidence; it is appended if there is none.

        What converges after a kill calls it again and again, in several processes perhaps.

        Parameters
        ----------
        event, model_name, actor, reason, evidence
            As for :meth:`append`.
        unless : sequence of str
            Events that exclude this one: if one of them has this evidence, it is returned.
        """
        table = self.table
        query = sa.select(table).where(
            table.c.event.in_([event, *unless]),
            table.c.model_name == model_name,
            table.c.evidence == canonical(evidence),
        )
        with self.database.writing() as connection:
            earlier = connection.execute(query).first()
            if earlier is not None:
                return unaltered(earlier)
            return self._append(connection, event, model_name, actor, reason, evidence)

    def decide(self, model_name: str, events: Collection[str], rule: Rule) -> LedgerEntry:
        """Return the entry that ``rule`` asks for, from the entries of some events so far.

        Reading and appending are one transaction of the only writer: of a hundred processes that
        decide at once, each sees what those before it have decided.
        """
        table = self.table
        query = (
            sa.select(table)
            .where(table.c.model_name == model_name, table.c.event.in_(sorted(events)))
            .order_by(table.c.sequence)
        )
        with self.database.writing() as connection:
            decided = rule([unaltered(row) for row in connection.execute(query)])
            if isinstance(decided, LedgerEntry):
                return decided
            return self._append(connection, model_name=model_name, **decided.model_dump())

    def move_champion(
        self,
        model_name: str,
        *,
        expected: int | None,
        new: int,
        actor: str,
        reason: str,
        evidence: dict[str, Any],
        after: int | None = None,
    ) -> LedgerEntry:
        """Return the entry that makes ``new`` the champion, if ``expected`` still is.

        Parameters
        ----------
        model_name, actor, reason, evidence
            As for :meth:`append`.
        expected, new : int
            The version that was champion when this was decided, and the one that is to be.
        after : int, optional
            Sequence of the move that made ``expected`` champion: one that lost and regained the
            place in between (a promotion and its rollback) is not taken for unmoved.

        Raises
        ------
        PromotionError
            If another version became champion in the meantime; it is named.
        """
        with self.database.writing() as connection:
            last = self._last_move(connection, model_name, None)
            current = _version_of(last)
            moved = after is not None and last is not None and last.sequence != after
            if current != expected or moved:
                raise PromotionError(
                    f"version {_named(current)} of {model_name} became champion in the meantime",
                    expected=f"version {_named(expected)}, as when version {new} was judged",
                    fix=f"judge it against the new champion: holdfast judge {new}",
                )
            evidence = {**evidence, "version": new, "previous": current}
            return self._append(connection, CHAMPION_MOVED, model_name, actor, reason, evidence)

    def champion(self, model_name: str, at: datetime | None = None) -> int | None:
        """Return the version that is champion, or was at a time; ``None`` if there was none.

        A time without a zone is local time.
        """
        with self.database.reading() as connection:
            return _version_of(self._last_move(connection, model_name, at))

    def last_move(self, model_name: str) -> LedgerEntry | None:
        """Return the entry that made the champion what it is; ``None`` if there is none."""
        with self.database.reading() as connection:
            return self._last_move(connection, model_name, None)

    def entries(
        self, model_name: str | None = None, *, even_altered: bool = False
    ) -> list[LedgerEntry]:
        """Return all entries, oldest first, of one model or of all.

        An altered one is an error, unless it is only to be shown (``even_altered``): nothing is
        decided from what somebody has changed.
        """
        query = sa.select(self.table).order_by(self.table.c.sequence)
        if model_name is not None:
            query = query.where(self.table.c.model_name == model_name)
        read = entry_of if even_altered else unaltered
        with self.database.reading() as connection:
            return [read(row) for row in connection.execute(query)]

    def moves(self, model_name: str) -> list[LedgerEntry]:
        """Return every move of the champion, oldest first; an altered one is an error."""
        table = self.table
        query = (
            sa.select(table)
            .where(table.c.model_name == model_name, table.c.event == CHAMPION_MOVED)
            .order_by(table.c.sequence)
        )
        with self.database.reading() as connection:
            return [unaltered(row) for row in connection.execute(query)]

    def head(self) -> LedgerEntry | None:
        """Return the last entry, whatever model it is about."""
        newest = sa.select(self.table).order_by(self.table.c.sequence.desc()).limit(1)
        with self.database.reading() as connection:
            row = connection.execute(newest).first()
            return None if row is None else entry_of(row)

    def hashes(self) -> dict[int, str]:
        """Return the hash of every entry by its sequence."""
        query = sa.select(self.table.c.sequence, self.table.c.entry_hash)
        with self.database.reading() as connection:
            return {row.sequence: row.entry_hash for row in connection.execute(query)}

    def verify(self) -> list[str]:
        """Return what is wrong with the chain: altered entries, missing links; empty if whole.

        Entries that were cut off the end leave a whole chain behind: they show beside an export
        or the anchors in the registry (:mod:`pipeline_steps.registry.anchors`).
        """
        query = sa.select(self.table).order_by(self.table.c.sequence)
        with self.database.reading() as connection:
            return chain_problems(
                Link(row.sequence, row.previous_hash, row.entry_hash, was_altered(row))
                for row in connection.execute(query)
            )

    def _append(
        self,
        connection: sa.Connection,
        event: str,
        model_name: str,
        actor: str,
        reason: str,
        evidence: dict[str, Any],
    ) -> LedgerEntry:
        newest = sa.select(self.table).order_by(self.table.c.sequence.desc()).limit(1)
        last = connection.execute(newest).first()
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        fields: dict[str, Any] = {
            "sequence": 1 if last is None else last.sequence + 1,
            # Clocks of several machines differ; time never runs back along the chain.
            "created_at": now if last is None else max(now, last.created_at),
            "event": event,
            "model_name": model_name,
            "actor": actor,
            "reason": reason.replace("\0", ""),  # which PostgreSQL cannot hold
            "evidence": json.loads(json.dumps(evidence)),
            "previous_hash": GENESIS if last is None else last.entry_hash,
        }
        entry = LedgerEntry(**fields, entry_hash=value_digest(fields))
        row = {**entry.model_dump(), "evidence": canonical(entry.evidence)}
        connection.execute(self.table.insert().values(row))
        return entry

    def _last_move(
        self, connection: sa.Connection, model_name: str, at: datetime | None
    ) -> LedgerEntry | None:
        table = self.table
        query = (
            sa.select(table)
            .where(table.c.model_name == model_name, table.c.event == CHAMPION_MOVED)
            .order_by(table.c.sequence.desc())
            .limit(1)
        )
        if at is not None:
            moment = at.astimezone(UTC).isoformat(timespec="microseconds")
            query = query.where(table.c.created_at <= moment)
        row = connection.execute(query).first()
        return None if row is None else unaltered(row)


def _version_of(move: LedgerEntry | None) -> int | None:
    return None if move is None else int(move.evidence["version"])


def _named(version: int | None) -> str:
    return "none" if version is None else str(version)
