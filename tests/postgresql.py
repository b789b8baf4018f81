"""A PostgreSQL server of the tests' own: found, initialised, started, stopped."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

ADMIN = "admin"
PASSWORD = "p@ss:w/rd"
_DEBIAN = Path("/usr/lib/postgresql")


@dataclass(frozen=True)
class PostgresServer:
    """Where the server listens; it asks everybody for a password."""

    port: int

    def url(self, database: str = "postgres", **replaced: str) -> str:
        """Return the SQLAlchemy URL of a database."""
        url = sa.URL.create(
            "postgresql+psycopg", ADMIN, PASSWORD, "127.0.0.1", self.port, database
        ).set(**replaced)
        return url.render_as_string(hide_password=False)

    def execute(self, statement: str, database: str = "postgres") -> None:
        engine = sa.create_engine(
            self.url(database), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
        )
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)

    def new_database(self, options: str = "") -> str:
        """Return the URL of an empty database."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name} {options}")
        return self.url(name)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def find_server_binaries() -> Path | None:
    """Return the directory of ``initdb`` and ``postgres``, or ``None`` where there are none."""
    on_path = shutil.which("initdb")
    candidates = [*sorted(_DEBIAN.glob("*/bin"), reverse=True)]
    if on_path is not None:
        candidates.insert(0, Path(on_path).resolve().parent)
    if shutil.which("pg_config") is not None:
        said = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=True)
        candidates.insert(0, Path(said.stdout.strip()))
    return next((c for c in candidates if {"initdb", "pg_ctl"} <= names_in(c)), None)


def names_in(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()} if directory.is_dir() else set()


def unprivileged() -> dict[str, object]:
    """Return how to start a child that is not root: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    users = {user.pw_name: user for user in pwd.getpwall()}
    user = users.get("postgres") or users["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextmanager
def running_server(binaries: Path) -> Iterator[PostgresServer]:
    """Yield a server whose files are gone afterwards."""
    # Not below pytest's directories: only their owner may enter those.
    with tempfile.TemporaryDirectory(prefix="holdfast-pg-") as directory:
        root, port, identity = Path(directory), free_port(), unprivileged()
        (root / "password").write_text(PASSWORD)
        root.chmod(0o700)
        for path in (root, root / "password"):
            if identity:
                os.chown(path, identity["user"], identity["group"])

        def run(command: str, *arguments: str) -> None:
            subprocess.run(
                [binaries / command, "-D", root / "data", *arguments],
                cwd=root, check=True, stdout=subprocess.DEVNULL, env={"LC_ALL": "C"}, **identity,
            )  # fmt: skip

        secured = ("-U", ADMIN, f"--pwfile={root / 'password'}", "-A", "scram-sha-256")
        run("initdb", *secured, "-E", "UTF8", "--no-sync")
        settings = f"-p {port} -h 127.0.0.1 -k {root} -c fsync=off"
        run("pg_ctl", "-w", "-l", str(root / "log"), "-o", settings, "start")
        try:
            yield PostgresServer(port)
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")
