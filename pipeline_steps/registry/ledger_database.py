"""The database below a ledger: SQLite or PostgreSQL, one writer at a time, refusals in words.

The table and its triggers are made where they are missing; a user who may only read, or only
append, can therefore open a ledger that another has made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from pipeline_steps.errors import RegistryError
from pipeline_steps.registry.ledger_schema import (
    append_only_triggers,
    entries_table,
    triggers_query,
)

_LOCK_KEY = 4_827_361  # one advisory lock for all writers of a PostgreSQL ledger
_BUSY_SECONDS = 30
_EXAMPLES = "sqlite:////absolute/path or postgresql+psycopg://user:password@host/database"


class LedgerDatabase:
    """Connections to the database of a ledger.

    Parameters
    ----------
    url : str
        SQLAlchemy URL: ``sqlite:////absolute/path`` or ``postgresql+psycopg://...``.

    Raises
    ------
    RegistryError
        If the URL is none of these, or the database cannot be opened; no message tells a password.
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(_checked(url))
        self.table = entries_table()
        if self._missing_triggers():
            with self.writing() as connection:
                self._create(connection)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Yield a connection that takes no lock and needs no right to write."""
        with self._explained("read"), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Yield a connection that is the only writer until the block ends."""
        with self._explained("written"), self.engine.begin() as connection:
            for statement in _lock_statements(self.engine.dialect.name):
                connection.exec_driver_sql(statement)
            yield connection

    def _missing_triggers(self) -> set[str]:
        dialect = self.engine.dialect.name
        with self.reading() as connection:
            present = set(connection.exec_driver_sql(triggers_query(dialect)).scalars())
        return set(append_only_triggers(dialect)) - present

    def _create(self, connection: sa.Connection) -> None:
        self.table.metadata.create_all(connection)
        for statements in append_only_triggers(self.engine.dialect.name).values():
            for statement in statements:
                connection.exec_driver_sql(statement)

    @contextmanager
    def _explained(self, verb: str) -> Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise RegistryError(
                f"the ledger cannot be {verb}: {error.orig}",
                expected=f"a ledger at {_shown(self.engine.url)} that this user may use",
                fix="mend its permissions or set HOLDFAST_LEDGER_URL, then run the command again",
            ) from error


def _checked(url: str) -> sa.URL:
    """Return the parsed URL; what is wrong with it is said without repeating it."""
    try:
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
    except (sa.exc.ArgumentError, ValueError):
        raise _unusable("the ledger's URL cannot be parsed") from None
    if backend not in {"sqlite", "postgresql"}:
        raise _unusable(f"the ledger's URL names {backend}")
    if backend == "sqlite" and not Path(parsed.database or "").is_absolute():
        raise _unusable(f"the ledger's URL names no absolute path: {parsed.database or 'memory'}")
    if "@" in (parsed.host or ""):  # the part before it would be shown as the host's name
        raise _unusable("the ledger's URL has a second @; write %40 for one in the password")
    return parsed


def _unusable(received: str) -> RegistryError:
    return RegistryError(
        received, expected=_EXAMPLES, fix="set HOLDFAST_LEDGER_URL, then run the command again"
    )


def _engine(url: sa.URL) -> sa.Engine:
    """Return an engine without a pool: nothing stays open between two decisions."""
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url)
    # A snapshot taken before the lock was granted would show an old end of the chain; READ
    # COMMITTED takes one for each statement, whatever the server's default. Without an encoding,
    # a database that was made in the C locale (SQL_ASCII) answers in bytes.
    try:
        return sa.create_engine(
            url,
            poolclass=sa.NullPool,
            isolation_level="READ COMMITTED",
            connect_args={"client_encoding": "utf8"},
        )
    except (ImportError, sa.exc.NoSuchModuleError) as error:
        raise RegistryError(
            f"the driver {url.drivername} of the ledger is not installed",
            expected="postgresql+psycopg",
            fix="pip install 'holdfast[postgres]'",
        ) from error


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    try:
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RegistryError(
            f"the ledger's directory cannot be made: {error}",
            expected="a directory that this user can write to",
            fix="mend its permissions or set HOLDFAST_LEDGER_URL, then run the command again",
        ) from error
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"timeout": _BUSY_SECONDS})

    @sa.event.listens_for(engine, "connect")
    def _leave_transactions_to_us(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    return engine


def _lock_statements(dialect: str) -> list[str]:
    """Return what makes a connection the only writer, before it reads the end of the chain."""
    if dialect == "sqlite":
        return ["BEGIN IMMEDIATE"]
    return [
        f"SET LOCAL lock_timeout = '{_BUSY_SECONDS}s'",
        f"SELECT pg_advisory_xact_lock({_LOCK_KEY})",
    ]


def _shown(url: sa.URL) -> str:
    """Return the URL without passwords, also those among its options."""
    secret = [name for name in url.query if "pass" in name]
    return url.difference_update_query(secret).render_as_string(hide_password=True)
