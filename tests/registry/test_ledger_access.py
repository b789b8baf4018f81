"""Who may open, read and append to a ledger, and what the others are told."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from registry_builders import note

from pipeline_steps.errors import RegistryError
from pipeline_steps.registry.ledger import Ledger
from pipeline_steps.registry.ledger_schema import TABLE

_CAP_DAC_OVERRIDE, _PR_CAPBSET_DROP = 1, 24
OPEN = "import sys; from pipeline_steps.registry.ledger import Ledger; Ledger(sys.argv[1])"
LOG = OPEN + ".entries()"
APPEND = OPEN + ".append('note', model_name='m', actor='a', reason='r', evidence={})"


def obey_permissions() -> None:
    """Take from root the right to read and write where the permissions forbid it."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, 0, 0, 0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="root's rights are Linux's")
def test_a_ledger_that_may_only_be_read_is_read_and_refuses_to_append(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    note(Ledger(url))
    (tmp_path / "ledger.db").chmod(0o444)
    tmp_path.chmod(0o555)

    def run(code: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-c", code, url], check=False, text=True,
            capture_output=True, preexec_fn=obey_permissions,
        )  # fmt: skip

    assert run(LOG).returncode == 0
    refused = run(APPEND)
    tmp_path.chmod(0o755)
    assert "RegistryError: the ledger cannot be written: attempt to write a readonly" in (
        refused.stderr
    )
    assert "set HOLDFAST_LEDGER_URL, then run the command again" in refused.stderr


def test_a_role_that_may_only_append_can_use_a_ledger_of_another(postgres) -> None:
    """Neither owning the table nor the right to make triggers is needed to decide."""
    url = postgres.new_database()
    note(Ledger(url))
    database = str(sa.make_url(url).database)
    role = f"writer_{database}"
    postgres.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'w'")
    postgres.execute(f"GRANT SELECT, INSERT ON {TABLE} TO {role}", database)
    note(Ledger(postgres.url(database, username=role, password="w")))
    assert len(Ledger(url).entries()) == 2
    assert Ledger(url).verify() == []


def test_a_role_without_any_right_is_refused_in_words(postgres) -> None:
    url = postgres.new_database()
    note(Ledger(url))
    database = str(sa.make_url(url).database)
    role = f"stranger_{database}"
    postgres.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'w'")
    stranger = Ledger(postgres.url(database, username=role, password="w"))
    with pytest.raises(RegistryError, match="cannot be read: permission denied"):
        stranger.entries()
    with pytest.raises(RegistryError, match="cannot be written: permission denied"):
        note(stranger)


def test_a_ledger_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RegistryError, match=r"directory cannot be made: (?s:.)* HOLDFAST_LEDGER"):
        Ledger(f"sqlite:///{tmp_path / 'file/ledger.db'}")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"no database, but long enough to look at" * 100)
    with pytest.raises(RegistryError, match="cannot be read: file is not a database"):
        Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


def test_the_directory_of_a_new_ledger_is_made(tmp_path: Path) -> None:
    note(Ledger(f"sqlite:///{tmp_path / 'state/deep/ledger.db'}"))
    assert (tmp_path / "state/deep/ledger.db").is_file()


@pytest.mark.parametrize(
    ("url", "received"),
    [
        ("sqlite://", "no absolute path: memory"),
        ("sqlite:///ledger.db", "no absolute path: ledger.db"),
        ("mysql://user:hunter2@host/db", "names mysql"),
        ("hunter2", "cannot be parsed"),
        ("postgresql://user:hunter2@host:port/db", "cannot be parsed"),
        ("postgresql://user:pass@hunter2@host/db", "a second @"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_and_not_repeated(url: str, received: str) -> None:
    with pytest.raises(RegistryError, match=received) as refused:
        Ledger(url)
    assert "HOLDFAST_LEDGER_URL" in refused.value.fix
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("replaced", "reason"),
    [
        ({"password": "hunter2"}, "password authentication failed"),
        ({"port": 1, "password": "hunter2"}, "Connection refused"),
        ({"password": None, "query": {"password": "hunter2"}}, "password authentication failed"),
        ({"database": "no_such_database"}, "does not exist"),
    ],
)
def test_a_server_that_refuses_is_named_without_the_password(
    postgres, replaced: dict[str, Any], reason: str
) -> None:
    with pytest.raises(RegistryError, match=reason) as refused:
        Ledger(postgres.url(**replaced))
    assert "admin" in refused.value.expected
    assert "HOLDFAST_LEDGER_URL" in refused.value.fix
    assert "hunter2" not in str(refused.value)
    assert "p@ss:w/rd" not in str(refused.value)
    assert "p%40ss" not in str(refused.value)
