"""The databases that a traffic log, and the monitor beside it, may lie in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import postgresql
import pytest


@pytest.fixture(scope="session")
def server() -> Iterator[postgresql.PostgresServer]:
    binaries = postgresql.find_server_binaries()
    if binaries is None:
        pytest.skip("needs a PostgreSQL server's binaries")
    with postgresql.running_server(binaries) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state' / 'traffic.db'}"
    return request.getfixturevalue("server").new_database()
