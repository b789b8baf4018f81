"""What ``holdfast doctor`` looks at where state lies: servers, databases, the disk."""

from __future__ import annotations

import os
import re
import shutil
import socket
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from flows.commands.findings import Finding
from flows.settings import load_settings

_ENOUGH_BYTES = 2 << 30
_TIMEOUT_SECONDS = 3.0


class _PrefectAddress(BaseSettings):
    """Where Prefect's server is; unset, every command works without one."""

    model_config = SettingsConfigDict(env_prefix="PREFECT_", extra="ignore")

    api_url: str | None = None


def addresses(root: Path) -> Iterator[Finding]:
    """Name the servers and databases that are used; those on a network must answer."""
    settings = load_settings()
    state = root / settings.state_dir
    mlflow = settings.mlflow_tracking_uri or f"sqlite:///{state / 'mlflow.db'}"
    yield _address("MLflow", mlflow, "HOLDFAST_MLFLOW_TRACKING_URI")
    ledger = settings.ledger_url or f"sqlite:///{state / 'ledger.db'}"
    yield _address("ledger", ledger, "HOLDFAST_LEDGER_URL")
    prefect = _PrefectAddress().api_url
    if prefect is None:
        found = "no server is set: commands run without one, flows start a temporary one"
        yield Finding(name="Prefect", status="ok", found=found)
    else:
        yield _address("Prefect", prefect, "PREFECT_API_URL")


def _address(name: str, url: str, variable: str) -> Finding:
    shown = without_password(url)
    try:
        answered = _answers(url)
    except ValueError:  # of urllib, whose words may hold a password; of an impossible host
        return Finding(
            name=name,
            status="problem",
            found=f"{shown} is no address",
            fix=f"write {variable} as SCHEME://HOST:PORT, the port in digits, or unset it",
        )
    except OSError as error:
        return Finding(
            name=name,
            status="problem",
            found=f"{shown} does not answer: {error}",
            fix=f"start that server, or unset {variable} to work without it",
        )
    return Finding(name=name, status="ok", found=f"{shown} answers" if answered else shown)


def _answers(url: str) -> bool:
    """Return whether a server answered; ``False`` for a file, which nobody has to answer for."""
    parts = urllib.parse.urlsplit(url)
    if parts.hostname is None:
        return False
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 5432)
    socket.create_connection((parts.hostname, port), timeout=_TIMEOUT_SECONDS).close()
    return True


def without_password(url: str) -> str:
    """Return a URL that can be shown: user information's and query's secrets are masked.

    Examples
    --------
    >>> without_password("postgresql://ana:secret@db:5432/ledger?sslpassword=x")
    'postgresql://ana:***@db:5432/ledger?sslpassword=***'
    """
    masked = re.sub(r"(://[^/@:]*):.*@", r"\1:***@", url)
    return re.sub(r"((?:password|token|secret|key)=)[^&]*", r"\1***", masked, flags=re.IGNORECASE)


def room(root: Path) -> Iterator[Finding]:
    """Say how much room there is for state, and whether it can be written."""
    state = root / load_settings().state_dir
    place = next(p for p in (state, *state.parents) if p.exists())
    free = shutil.disk_usage(place).free
    enough = free >= _ENOUGH_BYTES
    yield Finding(
        name="disk",
        status="ok" if enough else "problem",
        found=f"{free / 2**30:.1f} GiB free at {place}",
        fix=None if enough else "free some space, or set HOLDFAST_STATE_DIR to a larger disk",
    )
    writable = _is_writable(place)
    yield Finding(
        name="state directory",
        status="ok" if writable else "problem",
        found=f"{state}{'' if writable else ' cannot be written to'}",
        fix=None if writable else "mend its permissions, or set HOLDFAST_STATE_DIR",
    )


def _is_writable(directory: Path) -> bool:
    """Return what the system says; a read-only file system refuses even the administrator."""
    return os.access(directory, os.W_OK | os.X_OK)
