"""The databases that a ledger and a registry may lie in, and checkpoints to register."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from killed_moves import KilledMoves
from postgresql import PostgresServer, find_server_binaries, running_server
from registry_builders import make_checkpoint, register_checkpoint
from toy_registry import register_toy

from pipeline_steps.registry.ledger import Ledger
from pipeline_steps.registry.tracking import Tracker
from pipeline_steps.types import Checkpoint


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Return a server of this session's own, or skip."""
    binaries = find_server_binaries()
    if binaries is None:
        pytest.skip("needs the programs of a PostgreSQL server (initdb, pg_ctl); none was found")
    with running_server(binaries) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture
def ledger(ledger_url: str) -> Ledger:
    return Ledger(ledger_url)


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return MLflow's database as MLflow makes it: some hundred migrations, done once."""
    path = tmp_path_factory.mktemp("registry") / "mlflow.db"
    Tracker(f"sqlite:///{path}", path.parent.as_uri(), "first")
    return path


@pytest.fixture
def tracking_uri(empty_registry: Path, tmp_path: Path) -> str:
    shutil.copyfile(empty_registry, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def tracker(tracking_uri: str, tmp_path: Path) -> Tracker:
    return Tracker(tracking_uri, (tmp_path / "artifacts").as_uri(), "tests")


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> list[Checkpoint]:
    """Return three checkpoints with different weights."""
    return [make_checkpoint(tmp_path_factory.mktemp("tiny"), seed) for seed in range(3)]


@pytest.fixture(scope="session")
def stocked_registry(
    empty_registry: Path, checkpoints: list[Checkpoint], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a database with the checkpoints as versions 1, 2 and 3 of ``intents``."""
    root = tmp_path_factory.mktemp("stocked")
    shutil.copyfile(empty_registry, root / "mlflow.db")
    tracker = Tracker(f"sqlite:///{root / 'mlflow.db'}", (root / "artifacts").as_uri(), "tests")
    for checkpoint in checkpoints:
        register_checkpoint(tracker, checkpoint)
    return root / "mlflow.db"


@pytest.fixture
def stocked(stocked_registry: Path, tmp_path: Path) -> Tracker:
    """Return a registry of one's own with three versions; their artifacts are everybody's."""
    shutil.copyfile(stocked_registry, tmp_path / "mlflow.db")
    return Tracker(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path.as_uri(), "tests")


def _stock_with_toys(root: Path, empty: Path) -> Path:
    shutil.copyfile(empty, root / "mlflow.db")
    tracker = Tracker(f"sqlite:///{root / 'mlflow.db'}", (root / "artifacts").as_uri(), "tests")
    for label in "abcd":
        register_toy(tracker, label)
    return root / "mlflow.db"


@pytest.fixture(scope="session")
def toy_database(empty_registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database with four toys as versions of ``intents``, each with recorded answers."""
    return _stock_with_toys(tmp_path_factory.mktemp("toys"), empty_registry)


@pytest.fixture
def toys(toy_database: Path, tmp_path: Path) -> Tracker:
    """Return a registry of one's own with the toys; their artifacts are everybody's."""
    shutil.copyfile(toy_database, tmp_path / "mlflow.db")
    return Tracker(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path.as_uri(), "tests")


@pytest.fixture
def own_toys(empty_registry: Path, tmp_path: Path) -> Tracker:
    """Return a registry with the toys whose artifacts may be damaged."""
    database = _stock_with_toys(tmp_path, empty_registry)
    return Tracker(f"sqlite:///{database}", tmp_path.as_uri(), "tests")


@pytest.fixture(scope="session")
def killed_moves() -> Iterator[KilledMoves]:
    """Return what moves champions in processes that can be killed."""
    moves = KilledMoves()
    yield moves
    moves.close()
