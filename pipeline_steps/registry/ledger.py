"""The ledger of decisions: append-only, hash-chained, in SQLite or PostgreSQL.

An alias in a registry knows no author, time or past; the ledger does. Who is champion follows from
its last ``champion_moved`` entry, which is written only if the champion is still the one that the
decision was made against (compare-and-set inside one transaction).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict

from pipeline_steps.digests import value_digest
from pipeline_steps.errors import PromotionError, RegistryError
from pipeline_steps.registry.ledger_schema import append_only_statements, entries_table

GENESIS = "0" * 64
CHAMPION_MOVED = "champion_moved"
_LOCK_KEY = 4_827_361  # one advisory lock for all writers of a PostgreSQL ledger
_BUSY_SECONDS = 30


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
        SQLAlchemy URL: ``sqlite:///absolute/path`` or ``postgresql+psycopg://...``.
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self.entries_table = entries_table()
        with self._transaction() as connection:
            self._create(connection)

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
        with self._transaction() as connection:
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
        with self._transaction() as connection:
            current = self._champion(connection, model_name, None)
            if current != expected:
                raise PromotionError(
                    f"version {_named(current)} of {model_name} became champion in the meantime",
                    expected=f"version {_named(expected)}, as when version {new} was judged",
                    fix="judge the candidate against the new champion: holdfast train",
                )
            evidence = {**evidence, "version": new, "previous": current}
            return self._append(connection, CHAMPION_MOVED, model_name, actor, reason, evidence)

    def champion(self, model_name: str, at: datetime | None = None) -> int | None:
        """Return the version that is champion, or was at a time; ``None`` if there was none."""
        with self.engine.connect() as connection:
            return self._champion(connection, model_name, at)

    def entries(self, model_name: str | None = None) -> list[LedgerEntry]:
        """Return all entries, oldest first, of one model or of all."""
        table = self.entries_table
        query = sa.select(table).order_by(table.c.sequence)
        if model_name is not None:
            query = query.where(table.c.model_name == model_name)
        with self.engine.connect() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def verify(self) -> list[str]:
        """Return what is wrong with the chain: altered entries, missing links; empty if whole."""
        problems = []
        previous, expected_sequence = GENESIS, 1
        for entry in self.entries():
            if entry.sequence != expected_sequence:
                problems.append(f"entry {expected_sequence} is missing")
            if entry.entry_hash != entry.expected_hash():
                problems.append(f"entry {entry.sequence} was altered")
            if entry.previous_hash != previous:
                problems.append(f"entry {entry.sequence} does not follow the one before it")
            previous, expected_sequence = entry.entry_hash, entry.sequence + 1
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
        table = self.entries_table
        last = connection.execute(
            sa.select(table).order_by(table.c.sequence.desc()).limit(1)
        ).first()
        fields: dict[str, Any] = {
            "sequence": 1 if last is None else last.sequence + 1,
            "created_at": datetime.now(UTC).isoformat(timespec="microseconds"),
            "event": event,
            "model_name": model_name,
            "actor": actor,
            "reason": reason,
            "evidence": json.loads(json.dumps(evidence)),
            "previous_hash": GENESIS if last is None else last.entry_hash,
        }
        entry = LedgerEntry(**fields, entry_hash=value_digest(fields))
        row = {**entry.model_dump(), "evidence": json.dumps(entry.evidence, sort_keys=True)}
        connection.execute(table.insert().values(row))
        return entry

    def _champion(
        self, connection: sa.Connection, model_name: str, at: datetime | None
    ) -> int | None:
        table = self.entries_table
        query = (
            sa.select(table.c.evidence)
            .where(table.c.model_name == model_name, table.c.event == CHAMPION_MOVED)
            .order_by(table.c.sequence.desc())
            .limit(1)
        )
        if at is not None:
            moment = at.astimezone(UTC).isoformat(timespec="microseconds")
            query = query.where(table.c.created_at <= moment)
        evidence = connection.execute(query).scalar()
        return None if evidence is None else int(json.loads(evidence)["version"])

    def _create(self, connection: sa.Connection) -> None:
        self.entries_table.metadata.create_all(connection)
        for statement in append_only_statements(self.engine.dialect.name):
            connection.execute(sa.text(statement))

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        """Yield a connection that is the only writer until the block ends."""
        try:
            with self.engine.begin() as connection:
                if not self.is_sqlite:
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_KEY)))
                yield connection
        except sa.exc.OperationalError as error:
            raise RegistryError(
                f"the ledger cannot be written: {error.orig}",
                expected=f"a ledger at {self.engine.url.render_as_string(hide_password=True)} "
                "that this user can write to",
                fix="mend its permissions or set HOLDFAST_LEDGER_URL, then run the command again",
            ) from error


def _engine(url: str) -> sa.Engine:
    if not url.startswith("sqlite"):
        return sa.create_engine(url)
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_SECONDS})

    # The driver must not open transactions by itself: BEGIN IMMEDIATE takes the write lock before
    # the last entry is read, so two processes cannot append to the same end of the chain.
    @sa.event.listens_for(engine, "connect")
    def _leave_transactions_to_us(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _entry(row: sa.Row[Any]) -> LedgerEntry:
    fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    return LedgerEntry(**{**fields, "evidence": json.loads(fields["evidence"])})


def _named(version: int | None) -> str:
    return "none" if version is None else str(version)
