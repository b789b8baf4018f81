"""One door to the databases that we write ourselves: SQLite or PostgreSQL, one writer at a time.

One writer at a time makes sequence numbers appear in their order: who has read up to a number
never misses a smaller one that was committed later, and an appended link knows the last one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from pipeline_steps.errors import HoldfastError

_BUSY_SECONDS = 30
_PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 1_000 * _BUSY_SECONDS,  # milliseconds; of what was sent and not confirmed
}
"""Seconds after which a server of PostgreSQL that is gone is an error; unasked, hours."""
_EXAMPLES = "sqlite:////absolute/path or postgresql+psycopg://user:password@host/database"


@dataclass(frozen=True)
class Purpose:
    """What a database is for, as its errors say it, and how its connections are set up.

    ``lock_key`` is the advisory lock that all its writers on PostgreSQL take in turn.
    """

    what: str
    variable: str
    error: type[HoldfastError]
    lock_key: int
    sqlite_settings: tuple[str, ...] = ()
    pooled: bool = True

    @property
    def fix(self) -> str:
        """What to do about a database that cannot be used."""
        return f"mend its permissions or set {self.variable}, then run the command again"


class Database:
    """Connections to one database.

    Parameters
    ----------
    url : str
        SQLAlchemy URL: ``sqlite:////absolute/path`` or ``postgresql+psycopg://...``.

    Raises
    ------
    HoldfastError
        The purpose's own, if the URL is none of these, or the database cannot be opened; no
        message tells a password.
    """

    def __init__(self, url: str, purpose: Purpose) -> None:
        self.purpose = purpose
        self.engine = _engine(_checked(url, purpose), purpose)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Yield a connection that takes no lock and needs no right to write."""
        with self._explained("read"), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Yield a connection that is the only writer until the block ends; then it is durable."""
        with self._explained("written"), self.engine.begin() as connection:
            for statement in self._lock_statements():
                connection.exec_driver_sql(statement)
            yield connection

    def _lock_statements(self) -> list[str]:
        """Return what makes a connection the only writer, before it reads anything."""
        if self.engine.dialect.name == "sqlite":
            return ["BEGIN IMMEDIATE"]
        return [
            f"SET LOCAL lock_timeout = '{_BUSY_SECONDS}s'",
            f"SET LOCAL statement_timeout = '{2 * _BUSY_SECONDS}s'",
            f"SELECT pg_advisory_xact_lock({self.purpose.lock_key})",
        ]

    @contextmanager
    def _explained(self, verb: str) -> Iterator[None]:
        what = self.purpose.what
        try:
            yield
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:  # the driver's; the pool's
            because = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            raise self.purpose.error(
                f"the {what} cannot be {verb}: {because}",
                expected=f"a {what} at {_shown(self.engine.url)} that this user may use",
                fix=self.purpose.fix,
            ) from error


def missing_columns(connection: sa.Connection, table: sa.Table) -> list[sa.Column[Any]]:
    """Return the columns that a table which an older version made does not have yet."""
    present = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
    return [column for column in table.columns if column.name not in present]


def add_columns(connection: sa.Connection, table: sa.Table) -> None:
    """Add the columns that a table of an older version lacks; its rows have nothing in them."""
    dialect = connection.dialect
    name = dialect.identifier_preparer.format_table(table)
    for column in missing_columns(connection, table):
        kind = column.type.compile(dialect)
        connection.exec_driver_sql(f"ALTER TABLE {name} ADD COLUMN {column.name} {kind}")


def _checked(url: str, purpose: Purpose) -> sa.URL:
    """Return the parsed URL; what is wrong with it is said without repeating it."""
    try:
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
    except (sa.exc.ArgumentError, ValueError):
        raise _unusable(purpose, "cannot be parsed") from None
    if backend not in {"sqlite", "postgresql"}:
        raise _unusable(purpose, f"names {backend}")
    if backend == "sqlite" and not Path(parsed.database or "").is_absolute():
        raise _unusable(purpose, f"names no absolute path: {parsed.database or 'memory'}")
    if "@" in (parsed.host or ""):  # the part before it would be shown as the host's name
        raise _unusable(purpose, "has a second @; write %40 for one in the password")
    return parsed


def _unusable(purpose: Purpose, because: str) -> HoldfastError:
    return purpose.error(
        f"the {purpose.what}'s URL {because}",
        expected=_EXAMPLES,
        fix=f"set {purpose.variable}, then run the command again",
    )


def _engine(url: sa.URL, purpose: Purpose) -> sa.Engine:
    pool: dict[str, Any] = {} if purpose.pooled else {"poolclass": sa.NullPool}
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, purpose, pool)
    # A snapshot taken before the lock was granted would miss the last writer's rows; READ
    # COMMITTED takes one for each statement, whatever the server's default. Without an encoding,
    # a database that was made in the C locale (SQL_ASCII) answers in bytes.
    try:
        return sa.create_engine(
            url,
            isolation_level="READ COMMITTED",
            connect_args=_PATIENCE | {"client_encoding": "utf8"},
            **pool,
        )
    except (ImportError, sa.exc.NoSuchModuleError) as error:
        raise purpose.error(
            f"the driver {url.drivername} of the {purpose.what} is not installed",
            expected="postgresql+psycopg",
            fix="pip install 'holdfast[postgres]'",
        ) from error


def _sqlite_engine(url: sa.URL, purpose: Purpose, pool: dict[str, Any]) -> sa.Engine:
    try:
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise purpose.error(
            f"the {purpose.what}'s directory cannot be made: {error}",
            expected="a directory that this user can write to",
            fix=purpose.fix,
        ) from error
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_SECONDS}, **pool)

    @sa.event.listens_for(engine, "connect")
    def _settle(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun by us
        for statement in purpose.sqlite_settings:
            connection.execute(statement).close()

    return engine


def _shown(url: sa.URL) -> str:
    """Return the URL without passwords, also those among its options."""
    secret = [name for name in url.query if "pass" in name]
    return url.difference_update_query(secret).render_as_string(hide_password=True)
