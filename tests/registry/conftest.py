"""The databases that a ledger and a registry may lie in, and checkpoints to register."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from builders import write_examples
from postgresql import PostgresServer, find_server_binaries, running_server
from tiny_models import WORDS, save_tiny_model

from pipeline_steps.digests import file_digest
from pipeline_steps.params import FinetuneParams
from pipeline_steps.registry.ledger import Ledger
from pipeline_steps.registry.smoke_test import SmokeRow
from pipeline_steps.registry.tracking import Tracker
from pipeline_steps.types import Checkpoint, DatasetRef, ModelVersion

TEXTS = ["my card is not good", "the film was very bad", "login", "a very good refund"]
Register = Callable[[Tracker, Checkpoint], ModelVersion]


def make_checkpoint(root: Path, seed: int) -> Checkpoint:
    """Return a tiny checkpoint; another seed gives other weights."""
    from pipeline_steps.training.finetune import finetune

    base = save_tiny_model(root / "base", seed=seed)
    path = write_examples(
        root / "train.parquet",
        [{"text": " ".join(WORDS[i : i + 5]), "label": "ab"[i % 2]} for i in range(20)],
    )
    data = DatasetRef(
        name="train", split="train", path=path, digest=file_digest(path, "md5"), n_examples=20
    )
    params = FinetuneParams(base_model=str(base), epochs=1, precision="fp32", max_length=24)
    return finetune(data, data, params, root / f"checkpoint-{seed}", work=root / "work")


def recorded_answers(checkpoint: Checkpoint) -> list[SmokeRow]:
    """Return what the checkpoint says of some texts, in this process."""
    from pipeline_steps.inference.predictor import Predictor

    answers = Predictor.from_checkpoint(checkpoint.path).predict(TEXTS)
    return [
        SmokeRow(text=text, label=answer["label"], score=answer["score"])
        for text, answer in zip(TEXTS, answers, strict=True)
    ]


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


@pytest.fixture
def register() -> Register:
    """Return what logs a checkpoint in a run of its own and registers it as ``intents``."""

    def register(tracker: Tracker, checkpoint: Checkpoint) -> ModelVersion:
        run = tracker.start_run(checkpoint.digest, name="r", tags={}, params={}, datasets=[])
        uri = tracker.log_model(run, checkpoint, input_example=TEXTS[:2])
        return tracker.register("intents", uri, run, checkpoint.digest, tags={})

    return register
