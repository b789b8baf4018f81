"""A workspace: a directory with ``params.yaml``, ``dvc.yaml``, ``data/`` and its state."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flows.settings import Settings
from pipeline_steps.errors import ConfigurationError, HoldfastError
from pipeline_steps.params import Params, load_params
from pipeline_steps.types import DatasetRef


@dataclass(frozen=True)
class Workspace:
    """Where everything of one model lives; all paths are absolute."""

    root: Path
    params: Params
    settings: Settings

    @classmethod
    def open(cls, root: Path, settings: Settings | None = None) -> Workspace:
        """Return the workspace in ``root``.

        Raises
        ------
        ConfigurationError
            If ``params.yaml`` is missing or wrong; all mistakes at once.
        """
        root = root.resolve()
        return cls(root, load_params(root / "params.yaml"), settings or Settings())

    @property
    def state(self) -> Path:
        """Directory of everything that is not data: runs, checkpoints, databases."""
        return self.root / self.settings.state_dir

    @property
    def tracking_uri(self) -> str:
        """MLflow tracking URI; SQLite under the state directory unless set."""
        return self.settings.mlflow_tracking_uri or f"sqlite:///{self.state / 'mlflow.db'}"

    @property
    def artifact_location(self) -> str:
        """Where MLflow keeps artifacts; under the state directory unless set."""
        return self.settings.mlflow_artifact_location or (self.state / "artifacts").as_uri()

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy URL of the ledger; SQLite under the state directory unless set."""
        return self.settings.ledger_url or f"sqlite:///{self.state / 'ledger.db'}"

    def run_directory(self, fingerprint: str) -> Path:
        """Return where one run keeps its reports."""
        return self.state / "runs" / fingerprint[:16]

    def checkpoint_directory(self, key: str) -> Path:
        """Return where the checkpoint with a training fingerprint or digest lies."""
        return self.state / "checkpoints" / key[:16]

    def predictions_path(self, checkpoint_digest: str, dataset: DatasetRef) -> Path:
        """Return the file for one checkpoint's outputs on one dataset: named by content."""
        name = f"{checkpoint_digest[:16]}-{dataset.digest[:16]}-{dataset.name}.parquet"
        return self.state / "predictions" / name

    def prepare_state(self) -> None:
        """Create the state directory; a directory that cannot be written is a clear error."""
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            probe = self.state / f".probe-{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise ConfigurationError(
                f"cannot write to {self.state}: {error.strerror}",
                expected="a state directory that this user can write to, with space left",
                fix="free space or mend its permissions, or set HOLDFAST_STATE_DIR",
            ) from error


@contextmanager
def locked(workspace: Workspace) -> Iterator[None]:
    """Hold the workspace for one writer; a killed holder's lock vanishes with it.

    Raises
    ------
    HoldfastError
        If another process holds it.
    """
    workspace.prepare_state()
    with (workspace.state / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise HoldfastError(
                f"another holdfast command is at work in {workspace.root}",
                expected="one writer a workspace",
                fix="wait until it has finished, then run the command again",
            ) from error
        yield
