"""The database below a ledger, its table and triggers made where they are missing.

A user who may only read, or only append, can therefore open a ledger that another has made.
"""

from __future__ import annotations

import sqlalchemy as sa

from pipeline_steps.database import Database, Purpose
from pipeline_steps.errors import RegistryError
from pipeline_steps.registry.ledger_schema import (
    append_only_triggers,
    entries_table,
    triggers_query,
)

_LEDGER = Purpose(
    what="ledger",
    variable="HOLDFAST_LEDGER_URL",
    error=RegistryError,
    lock_key=4_827_361,
    pooled=False,  # nothing stays open between two decisions
)


class LedgerDatabase(Database):
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
        super().__init__(url, _LEDGER)
        self.table = entries_table()
        if self._missing_triggers():
            with self.writing() as connection:
                self._create(connection)

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
