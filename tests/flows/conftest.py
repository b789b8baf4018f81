"""Finished workspaces, made once and copied back to the one place that their paths name."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from desks import TRAINING, VERSION, log_rows, make_desk
from tiny_models import save_tiny_model
from tiny_workspaces import change_params, make_workspace
from warm_commands import WarmCommands

from flows.monitoring.labels import confirm_tickets
from flows.monitoring.windows import read_windows
from flows.workspace import Workspace


@pytest.fixture(scope="session")
def holdfast(tmp_path_factory) -> Iterator[WarmCommands]:
    """Return what runs ``holdfast`` commands as processes."""
    commands = WarmCommands(tmp_path_factory.mktemp("outputs"))
    yield commands
    commands.close()


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("bases") / "tiny")


@pytest.fixture(scope="session")
def place(tmp_path_factory) -> Path:
    """Return where every workspace lives: MLflow's records name absolute paths."""
    return tmp_path_factory.mktemp("a place with spaces") / "workspace"


class Snapshots:
    """Copies of workspaces; a copy put back is what it was, at the same path."""

    def __init__(self, place: Path, directory: Path) -> None:
        self.place, self.directory = place, directory
        self.kept: dict[str, Any] = {}

    def restore(self, name: str, make: Callable[[Path], Any]) -> tuple[Path, Any]:
        """Return the workspace after ``make`` has made it, now or earlier, and what it returned."""
        shutil.rmtree(self.place, ignore_errors=True)
        if name in self.kept:
            shutil.copytree(self.directory / name, self.place, symlinks=True)
        else:
            self.kept[name] = make(self.place)
            shutil.copytree(self.place, self.directory / name, symlinks=True)
        return self.place, self.kept[name]


@pytest.fixture(scope="session")
def snapshots(place: Path, tmp_path_factory) -> Snapshots:
    return Snapshots(place, tmp_path_factory.mktemp("snapshots"))


@pytest.fixture
def prepared(snapshots: Snapshots, holdfast: WarmCommands, tiny_base: Path) -> Path:
    """Return a workspace whose data stages have run, and nothing else."""
    return snapshots.restore("prepared", lambda root: _prepare(root, holdfast, tiny_base))[0]


@pytest.fixture
def trained(
    snapshots: Snapshots, holdfast: WarmCommands, tiny_base: Path
) -> tuple[Path, dict[str, Any]]:
    """Return a workspace after its first ``holdfast train --json``, and what that printed."""

    def make(root: Path) -> dict[str, Any]:
        snapshots.restore("prepared", lambda root: _prepare(root, holdfast, tiny_base))
        ended = holdfast("train", "--json", cwd=root)
        assert ended.code == 0, ended.stderr
        return dict(ended.printed)

    return snapshots.restore("trained", make)


@pytest.fixture
def waiting(
    snapshots: Snapshots, holdfast: WarmCommands, trained: tuple[Path, dict[str, Any]]
) -> Path:
    """Return a workspace with a champion and a better version 2 that waits for a person."""

    def make(root: Path) -> None:
        # An own snapshot: what `trained` put back is what this one begins with.
        snapshots.restore("trained", lambda _: None)
        learns = {"epochs": 8, "learning_rate": 2e-2, "batch_tokens": 128}
        change_params(root, finetune=learns, register={"approval": "required"})
        ended = holdfast("train", "--json", cwd=root, skip=["reproduce_data"])
        assert ended.code == 0, ended.stderr
        assert (ended.printed["version"], ended.printed["verdict"]) == (2, "PROMOTE")

    return snapshots.restore("waiting", make)[0]


def _prepare(root: Path, holdfast: WarmCommands, base: Path) -> None:
    make_workspace(root, base)
    ended = holdfast("prepare", cwd=root)
    assert ended.code == 0, ended.stderr


@pytest.fixture
def alarmed(tmp_path: Path) -> Workspace:
    """Return a workspace with a ticket that waits for ten labels."""
    workspace = make_desk(tmp_path)
    log_rows(workspace, 600, foreign=0.6)
    read_windows(workspace, VERSION, TRAINING)
    confirm_tickets(workspace, VERSION, TRAINING)
    return workspace
