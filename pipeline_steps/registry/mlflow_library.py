"""The MLflow library, imported once and checked, and its client with errors that tell the fix."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from pipeline_steps.errors import MissingDependencyError, RegistryError

MISSING = "RESOURCE_DOES_NOT_EXIST"
PRESENT = "RESOURCE_ALREADY_EXISTS"
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # MLflow's own default, 7, keeps a mistyped address silent for some minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",
    # With a server, each closed run would print its address among a command's JSON.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def load_mlflow() -> ModuleType:
    """Return the library.

    Raises
    ------
    MissingDependencyError
        If what is imported is a folder called ``mlflow`` and not the library.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    import mlflow

    if not hasattr(mlflow, "set_tracking_uri"):
        raise MissingDependencyError(
            f"`import mlflow` found {list(getattr(mlflow, '__path__', []))}, not the library",
            expected="the installed package mlflow",
            fix="pip install mlflow; remove any __init__.py from the folder mlflow/",
        )
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return mlflow


class Client:
    """MLflow's client; whatever it refuses becomes a :class:`RegistryError`.

    Parameters
    ----------
    tracking_uri : str
        A server or a database; a relative SQLite path, which would follow the working directory,
        is refused.
    """

    def __init__(self, tracking_uri: str) -> None:
        self._tracking_uri = tracking_uri
        with explained(tracking_uri):
            _refuse_unusable(tracking_uri)
            self._client = load_mlflow().MlflowClient(tracking_uri, registry_uri=tracking_uri)

    def __getattr__(self, name: str) -> Any:
        """Return the client's method, its errors explained."""
        method = getattr(self._client, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            with explained(self._tracking_uri):
                return method(*args, **kwargs)

        return call


@contextmanager
def explained(tracking_uri: str) -> Iterator[None]:
    """Raise what MLflow, its database, a server or a disk refuse as a :class:`RegistryError`.

    Its ``__cause__`` is what was raised; no message tells a password.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        message = getattr(error, "message", None) or getattr(error, "orig", None) or error
        raise RegistryError(
            without_password(f"MLflow at {tracking_uri} refused: {message}", tracking_uri),
            expected="a tracking server or database that can be reached and written to",
            fix="start the server or mend HOLDFAST_MLFLOW_TRACKING_URI, then run the command again",
        ) from error


def code_of(error: RegistryError) -> str | None:
    """Return MLflow's code for what it refused, for example :data:`MISSING`."""
    return getattr(error.__cause__, "error_code", None)


def without_password(text: str, uri: str) -> str:
    """Return the text with the URI's password, in every way to write it, replaced by stars.

    Examples
    --------
    >>> without_password("http://ada:b%40d@host: no", "http://ada:b%40d@host")
    'http://ada:***@host: no'
    """
    found = urlsplit(uri).password
    if not found:
        return text
    for password in (found, unquote(found), quote(unquote(found), safe="")):
        text = text.replace(password, "***")
    return text


def _refuse_unusable(tracking_uri: str) -> None:
    """Refuse a relative SQLite path, and at once a database that MLflow would try for minutes."""
    import sqlalchemy as sa

    scheme, _, rest = tracking_uri.partition("://")
    if scheme in {"http", "https"}:
        return
    if scheme.startswith("sqlite") and not Path(rest.removeprefix("/")).is_absolute():
        raise RegistryError(
            f"the tracking URI names no absolute path: {tracking_uri}",
            expected="sqlite:////absolute/path or the address of a server",
            fix="set HOLDFAST_MLFLOW_TRACKING_URI, then run the command again",
        )
    if scheme.startswith(("postgresql", "mysql", "mssql")):
        with sa.create_engine(tracking_uri, poolclass=sa.NullPool).connect():
            pass
