"""MLflow's SQLite database, made whole or not at all.

MLflow makes its tables in many transactions. Killed between two of them, or out of space, it
leaves a file that it never opens again ("table ... already exists").
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path


def make_database(tracking_uri: str) -> None:
    """Make the database that a SQLite address names, if there is none; others make their own."""
    path = _file_of(tracking_uri)
    if path is None or path.exists():
        return
    directory = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial"))
    try:
        # Of two processes that do this at once the first one's database stays.
        with suppress(FileExistsError):
            os.link(_new_database(directory), path)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _file_of(tracking_uri: str) -> Path | None:
    import sqlalchemy as sa

    if not tracking_uri.startswith("sqlite"):
        return None
    database = sa.make_url(tracking_uri).database
    return Path(database) if database and database != ":memory:" else None


def _new_database(directory: Path) -> Path:
    import sqlalchemy as sa
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    path = directory / "database"
    address = sa.URL.create("sqlite", database=str(path)).render_as_string()
    store = SqlAlchemyStore(address, (directory / "unused").as_uri())  # type: ignore[no-untyped-call]
    store.engine.dispose()
    return path
