"""The ledger of decisions: append-only, hash-chained, in SQLite or PostgreSQL.

An alias in a registry knows no author, time or past; the ledger does. Who is champion follows from
its last ``champion_moved`` entry, which is written only if the champion is still the one that the
decision was made against (compare-and-set inside one transaction).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict

from pipeline_steps.digests import value_digest
from pipeline_steps.errors import PromotionError, RegistryError
from pipeline_steps.registry.ledger_database import LedgerDatabase

GENESIS = "0" * 64
CHAMPION_MOVED = "champion_moved"


class LedgerEntry(BaseModel):
    """One decision: what happened, to which model, who did it, why, on what evidence."""

    model_config = ConfigDict(frozen=True)

    sequence: int
    created_at: str
    event: str
    model_name: str
    actor: str
    reason: str
    evidence: dict[str, Any]
    previous_hash: str
    entry_hash: str

    def expected_hash(self) -> str:
        """Return the hash over everything but the hash itself."""
        return value_digest(self.model_dump(exclude={"entry_hash"}))


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
    ) -> LedgerEntry:
        """Return the entry of this event with this evidence; it is appended if there is none.

        What converges after a kill calls it again and again, in several processes perhaps.
        """
        table = self.table
        query = sa.select(table).where(
            table.c.event == event,
            table.c.model_name == model_name,
            table.c.evidence == _canonical(evidence),
        )
        with self.database.writing() as connection:
            earlier = connection.execute(query).first()
            if earlier is not None:
                return _entry(earlier)
            return self._append(connection, event, model_name, actor, reason, evidence)

    def move_champion(
        self,
        model_name: str,
        *,
        expected: int | None,
        new: int,
        actor: str,
        reason: str,
        evidence: dict[str, Any],
    ) -> LedgerEntry:
        """Return the entry that makes ``new`` the champion, if ``expected`` still is.

        Raises
        ------
        PromotionError
            If another version became champion in the meantime; it is named.
        """
        with self.database.writing() as connection:
            current = _version_of(self._last_move(connection, model_name, None))
            if current != expected:
                raise PromotionError(
                    f"version {_named(current)} of {model_name} became champion in the meantime",
                    expected=f"version {_named(expected)}, as when version {new} was judged",
                    fix="judge the candidate against the new champion: holdfast train",
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

    def entries(self, model_name: str | None = None) -> list[LedgerEntry]:
        """Return all entries, oldest first, of one model or of all."""
        query = sa.select(self.table).order_by(self.table.c.sequence)
        if model_name is not None:
            query = query.where(self.table.c.model_name == model_name)
        with self.database.reading() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def verify(self) -> list[str]:
        """Return what is wrong with the chain: altered entries, missing links; empty if whole.

        Entries that were cut off the end leave a whole chain behind: they show only beside a copy
        of the last hash, or where a model's aliases and its champion here differ.
        """
        query = sa.select(self.table).order_by(self.table.c.sequence)
        problems = []
        previous, expected = GENESIS, 1
        with self.database.reading() as connection:
            for row in connection.execute(query):
                if row.sequence != expected:
                    problems.append(_missing(expected, row.sequence - 1))
                if _was_altered(row):
                    problems.append(f"entry {row.sequence} was altered")
                if row.previous_hash != previous:
                    problems.append(f"entry {row.sequence} does not follow the one before it")
                previous, expected = row.entry_hash, row.sequence + 1
        return problems

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
        row = {**entry.model_dump(), "evidence": _canonical(entry.evidence)}
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
        return None if row is None else _unaltered(row)


def _canonical(evidence: dict[str, Any]) -> str:
    return json.dumps(evidence, sort_keys=True)


def _entry(row: sa.Row[Any]) -> LedgerEntry:
    fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    try:
        return LedgerEntry(**{**fields, "evidence": json.loads(fields["evidence"])})
    except ValueError as error:
        raise RegistryError(
            f"entry {fields['sequence']} of the ledger cannot be read: {error}",
            expected="an entry as it was appended",
            fix="restore the ledger from a backup; what was altered, says: holdfast ledger verify",
        ) from error


def _unaltered(row: sa.Row[Any]) -> LedgerEntry:
    """Return the entry; who is champion never follows from one that somebody has changed."""
    if _was_altered(row):
        raise RegistryError(
            f"entry {row.sequence} of the ledger was altered",
            expected="an entry as it was appended",
            fix="restore the ledger from a backup; what else was altered, says: holdfast ledger "
            "verify",
        )
    return _entry(row)


def _was_altered(row: sa.Row[Any]) -> bool:
    try:
        entry = _entry(row)
    except RegistryError:
        return True
    return entry.entry_hash != entry.expected_hash()


def _missing(first: int, last: int) -> str:
    return (
        f"entry {first} is missing" if first == last else f"entries {first} to {last} are missing"
    )


def _version_of(move: LedgerEntry | None) -> int | None:
    return None if move is None else int(move.evidence["version"])


def _named(version: int | None) -> str:
    return "none" if version is None else str(version)
