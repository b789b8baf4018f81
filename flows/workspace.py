"""A workspace: a directory with ``params.yaml``, ``dvc.yaml``, ``data/`` and its state."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TextIO

from flows.attack_code import attacking_code
from flows.settings import Settings, load_settings
from flows.storage_errors import explained_storage_errors
from pipeline_steps.digests import value_digest
from pipeline_steps.errors import BusyError, ConfigurationError
from pipeline_steps.files import remove_partial_files
from pipeline_steps.params import Params, load_params
from pipeline_steps.provenance import PREDICTING_CODE, code_version
from pipeline_steps.types import DatasetRef

REPORT_FILE = "report.html"
_POLL_SECONDS = 0.2
_SQLITE = "sqlite:///"
_WATCHED = ("references", "incidents", "windows")
"""Directories that the monitor writes to."""
_WITH_THE_SERVER = "mlflow-artifacts:/holdfast"


@dataclass(frozen=True)
class Workspace:
    """Where everything of one model lives; all paths are absolute.

    ``patience``: how long its lock is waited for where another command holds it.
    """

    root: Path
    params: Params
    settings: Settings
    patience: timedelta = timedelta(0)

    @classmethod
    def open(cls, root: Path, settings: Settings | None = None) -> Workspace:
        """Return the workspace in ``root``.

        Raises
        ------
        ConfigurationError
            If ``params.yaml`` is missing or wrong; all mistakes at once.
        """
        root = root.resolve()
        refuse_unusable(root)
        params = load_params(root / "params.yaml")
        return cls(root, params, settings or load_settings())

    @property
    def state(self) -> Path:
        """Directory of everything that is not data: runs, checkpoints, databases."""
        return self.root / self.settings.state_dir

    @property
    def tracking_uri(self) -> str:
        """MLflow tracking URI; SQLite under the state directory unless set."""
        return self._address(self.settings.mlflow_tracking_uri, "mlflow.db")

    @property
    def artifact_location(self) -> str:
        """Where MLflow keeps artifacts; with the server or under the state directory unless set."""
        if self.settings.mlflow_artifact_location:
            return self.settings.mlflow_artifact_location
        if self.tracking_uri.startswith(("http://", "https://")):
            return _WITH_THE_SERVER  # a path of this machine would be nowhere for the team
        return (self.state / "artifacts").as_uri()

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy URL of the ledger; SQLite under the state directory unless set."""
        return self._address(self.settings.ledger_url, "ledger.db")

    @property
    def study_url(self) -> str:
        """SQLAlchemy URL of the searches; SQLite under the state directory unless set."""
        return self._address(self.settings.study_url, "tune.db")

    @property
    def traffic_url(self) -> str:
        """SQLAlchemy URL of the traffic log; SQLite under the state directory unless set."""
        return self._address(self.settings.traffic_url, "traffic.db")

    def _address(self, asked: str | None, database: str) -> str:
        """Return a URL that means the same in every process, whatever its working directory."""
        if not asked:
            return _sqlite(self.state / database)
        relative = asked.removeprefix(_SQLITE) if asked.startswith(_SQLITE) else "/"
        return asked if relative.startswith("/") else _sqlite(self.root / relative)

    def run_directory(self, fingerprint: str) -> Path:
        """Return where one run keeps its reports."""
        return self.state / "runs" / fingerprint[:16]

    def report_path(self, fingerprint: str) -> Path:
        """Return where the HTML report of one run lies."""
        return self.run_directory(fingerprint) / REPORT_FILE

    def checkpoint_directory(self, key: str) -> Path:
        """Return where the checkpoint with a training fingerprint or digest lies."""
        return self.state / "checkpoints" / key[:16]

    def cost_path(self, training_fingerprint: str) -> Path:
        """Return the file for what one training cost."""
        return self.state / "costs" / f"{training_fingerprint[:16]}.json"

    def predictions_path(self, checkpoint_digest: str, dataset: DatasetRef) -> Path:
        """Return the file for one checkpoint's outputs on one dataset.

        It is named by all that decides its content: checkpoint, rows, ``predict`` and the code.
        """
        how = value_digest(
            {
                "predict": self.params.predict.model_dump(mode="json"),
                "code": code_version(PREDICTING_CODE),
            }
        )
        name = f"{checkpoint_digest[:16]}-{dataset.digest[:16]}-{how[:8]}-{dataset.name}.parquet"
        return self.state / "predictions" / name

    def attack_path(
        self, checkpoint_digest: str, dataset: DatasetRef, recipe: str, variant: str = ""
    ) -> Path:
        """Return the file for one checkpoint's answers under one attack on rows of a dataset.

        ``variant`` says what is not in the parameters: which seed, or the worst of which runs.
        """
        how = value_digest({"attack": self.params.attack.of_one_run, "code": attacking_code()})
        name = f"{checkpoint_digest[:16]}-{dataset.digest[:16]}-{how[:8]}-{recipe}{variant}.parquet"
        return self.state / "attacks" / name

    def prepare_state(self) -> None:
        """Create the state directory; one that cannot be written to is a clear error."""
        with explained_storage_errors():
            self.state.mkdir(parents=True, exist_ok=True)
            probe = self.state / f".probe-{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()

    def remove_leftovers(self) -> None:
        """Remove what killed writers left half-written; only for who holds the workspace.

        What the monitor writes is left to it: it may be at work meanwhile.
        """
        kept = [d for d in self.state.glob("*/") if d.name not in _WATCHED]
        each = [d for name in ("runs", "retrain") for d in self.state.glob(f"{name}/*/")]
        for directory in (self.state, *kept, *each):
            remove_partial_files(directory)


def refuse_unusable(root: Path) -> None:
    """Refuse a path whose artifacts could be written and not be found again.

    Raises
    ------
    ConfigurationError
        If it is a file, or there is a percent sign in it: MLflow takes what follows for a
        character's code.
    """
    if root.is_file():
        raise ConfigurationError(
            f"{root} is a file",
            expected="the directory of a workspace",
            fix="name a directory; to make one from a file: holdfast init DIR --train FILE",
        )
    if "%" in str(root):
        raise ConfigurationError(
            f"the workspace {root} has a percent sign in its path",
            expected="a path without one: MLflow finds no artifacts below it",
            fix="rename that directory, then run the command again",
        )


def _sqlite(path: Path) -> str:
    """Return the address of a database file, whatever characters its path has."""
    return _SQLITE + re.sub("[?#]", lambda found: f"%{ord(found[0]):02X}", str(path))


@contextmanager
def locked(workspace: Workspace) -> Iterator[None]:
    """Hold the workspace for one writer; a killed holder's lock vanishes with it.

    Raises
    ------
    BusyError
        If another process holds it, and goes on to for as long as the workspace has patience.
    StorageError
        If the disk is full or cannot be written to, now or while the workspace is held.
    """
    with _held(workspace, "lock", "command"):
        workspace.remove_leftovers()
        yield


@contextmanager
def watching(workspace: Workspace) -> Iterator[None]:
    """Hold the workspace's monitor, whatever else is at work: a training takes hours.

    Its place in the log and its tickets are transactions of the database, and the files that it
    writes are its own. Raises what :func:`locked` does.
    """
    with _held(workspace, "monitor.lock", "monitor"):
        for name in _WATCHED:
            remove_partial_files(workspace.state / name)
        yield


@contextmanager
def _held(workspace: Workspace, name: str, what: str) -> Iterator[None]:
    workspace.prepare_state()
    with explained_storage_errors(), (workspace.state / name).open("a") as file:
        _take(file, workspace, what)
        yield


def _take(file: TextIO, workspace: Workspace, what: str) -> None:
    deadline = time.monotonic() + workspace.patience.total_seconds()
    while not _taken(file):
        if time.monotonic() >= deadline:
            raise BusyError(
                f"another holdfast {what} is at work in {workspace.root}",
                expected=f"one {'writer' if what == 'command' else what} a workspace",
                fix="wait until it has finished, then run the command again",
            )
        time.sleep(_POLL_SECONDS)


def _taken(file: TextIO) -> bool:
    """Return whether the lock is ours now."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return False
    return True
