"""The database below a traffic log, its tables made where they are missing."""

from __future__ import annotations

import sqlalchemy as sa

from pipeline_steps.database import Database, Purpose, add_columns, missing_columns
from pipeline_steps.errors import TrafficError
from pipeline_steps.monitoring.traffic_schema import traffic_tables

_TRAFFIC_LOG = Purpose(
    what="traffic log",
    variable="HOLDFAST_TRAFFIC_URL",
    error=TrafficError,
    lock_key=4_827_362,
    sqlite_settings=(
        "PRAGMA journal_mode = WAL",  # readers do not stop the writer
        "PRAGMA synchronous = FULL",  # a commit is on the disk when it returns
        "PRAGMA secure_delete = ON",  # what retention forgets does not stay in free pages
    ),
    pooled=True,  # the last connection that closes makes SQLite fold its whole journal in
)


class TrafficDatabase(Database):
    """Connections to the database of a traffic log.

    Parameters
    ----------
    url : str
        SQLAlchemy URL: ``sqlite:////absolute/path`` or ``postgresql+psycopg://...``.
    table : str
        Name of the table of predictions.

    Raises
    ------
    TrafficError
        If the URL is none of these, or the database cannot be opened; no message tells a password.
    """

    def __init__(self, url: str, table: str) -> None:
        super().__init__(url, _TRAFFIC_LOG)
        self.tables = traffic_tables(table)
        if not self._is_made():
            with self.writing() as connection:
                self.tables.predictions.metadata.create_all(connection)
                add_columns(connection, self.tables.predictions)

    def _is_made(self) -> bool:
        """Return whether both tables are there with all columns: older logs lack the last ones."""
        with self.reading() as connection:
            present = set(sa.inspect(connection).get_table_names())
            if not set(self.tables.predictions.metadata.tables) <= present:
                return False
            return not missing_columns(connection, self.tables.predictions)
