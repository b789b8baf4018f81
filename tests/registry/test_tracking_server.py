"""The record behind a real `mlflow server` with the flags of mlflow/compose.yaml, over HTTP."""

from __future__ import annotations

import re
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from gate_builders import report
from http_servers import running
from postgresql import PostgresServer, free_port
from registry_builders import MODEL, decision, recorded_answers, register_checkpoint

from pipeline_steps.digests import directory_digest
from pipeline_steps.errors import RegistryError
from pipeline_steps.registry.ledger import Ledger
from pipeline_steps.registry.promote import promote
from pipeline_steps.registry.tracking import Tracker
from pipeline_steps.types import Checkpoint, DatasetRef

REPOSITORY = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((REPOSITORY / "mlflow/compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def server_command(port: int, artifacts: Path) -> list[str]:
    """Return the command of the compose file; only addresses and paths are this test's."""
    replaced = {
        "--host": "127.0.0.1",
        "--port": str(port),
        "--artifacts-destination": str(artifacts),
        "--allowed-hosts": f"127.0.0.1:{port}",
    }
    program, verb, *flags = SERVICES["mlflow"]["command"]
    assert (program, verb) == ("mlflow", "server")
    flags = [
        f"{name}={replaced[name]}" if (name := flag.partition("=")[0]) in replaced else flag
        for flag in flags
    ]
    assert {flag.partition("=")[0] for flag in flags} >= replaced.keys()
    return [sys.executable, "-P", "-m", "mlflow", "server", *flags]


@pytest.fixture(scope="module")
def server(empty_registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("server")
    shutil.copyfile(empty_registry, root / "mlflow.db")
    address = f"http://127.0.0.1:{(port := free_port())}"
    store = f"sqlite:///{root / 'mlflow.db'}"
    command = server_command(port, root / "artifacts")
    with running(command, f"{address}/health", root, MLFLOW_BACKEND_STORE_URI=store):
        yield address


@pytest.fixture
def remote(server: str) -> Tracker:
    return Tracker(server, "mlflow-artifacts:/holdfast", "team")


def test_a_run_is_kept_and_found_through_the_server(remote: Tracker, tmp_path: Path) -> None:
    data = DatasetRef(name="test", split="test", path=tmp_path / "t", digest="d" * 32, n_examples=7)
    run = remote.start_run(
        "f1", name="r", tags={"git": "abc"}, params={"a": {"b": 1}}, datasets=[data]
    )
    assert remote.start_run("f1", name="r", tags={}, params={"a": {"b": 2}}, datasets=[data]) == run
    remote.log_reports(run, [report()])
    (tmp_path / "result.json").write_text("{}")
    remote.log_files(run, [tmp_path / "result.json"])
    remote.finish_run(run)
    found = remote.find_run("f1")
    assert found is not None
    assert (found.mlflow_run_id, found.finished, found.tags["git"]) == (run, True, "abc")
    kept = remote.client.get_run(run)
    assert kept.data.params == {"a.b": "1"}
    assert kept.data.metrics["test/accuracy/ci_high"] == 1.0
    assert [i.dataset.digest for i in kept.inputs.dataset_inputs] == ["d" * 32]
    remote.download_files(run, tmp_path / "into")
    assert (tmp_path / "into/result.json").read_text() == "{}"


@pytest.mark.slow
def test_a_version_is_registered_promoted_and_fetched_through_the_server(
    remote: Tracker, checkpoints: list[Checkpoint], tmp_path: Path
) -> None:
    """The smoke test's process fetches the artifact from the server, too."""
    version = register_checkpoint(remote, checkpoints[0])
    assert remote.find_version(MODEL, checkpoints[0].digest) == version
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    promote(
        remote, ledger, version, decision(version, None), actor="ada",
        smoke_rows=recorded_answers(checkpoints[0]),
    )  # fmt: skip
    champion = remote.version_by_alias(MODEL, "champion")
    assert champion is not None
    assert champion.version == ledger.champion(MODEL) == version.version
    fetched = remote.checkpoint_of(version, tmp_path / "checkpoint")
    assert directory_digest(fetched, exclude=("meta.json",)) == checkpoints[0].digest


def test_what_is_missing_behind_the_server_is_refused(remote: Tracker) -> None:
    with pytest.raises(RegistryError, match="no version 99 of nothing"):
        remote.version("nothing", 99)
    assert remote.version_by_alias("nothing", "champion") is None
    assert remote.find_version("nothing", "d") is None


def test_a_name_that_the_server_was_not_told_is_refused(server: str) -> None:
    """The README of mlflow/ names this answer and its remedy."""
    request = urllib.request.Request(
        f"{server}/api/2.0/mlflow/experiments/search", headers={"Host": "mlflow.example.org"}
    )
    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        urllib.request.urlopen(request, timeout=60)
    assert b"Invalid Host header" in refused.value.read()
    refused.value.close()


@pytest.mark.slow
def test_the_tracker_keeps_its_record_in_postgresql(
    postgres: PostgresServer, checkpoints: list[Checkpoint], tmp_path: Path
) -> None:
    """MLflow runs its migrations there first."""
    tracker = Tracker(postgres.new_database(), (tmp_path / "artifacts").as_uri(), "tests")
    version = register_checkpoint(tracker, checkpoints[0])
    tracker.set_alias(MODEL, "champion", version.version)
    found = tracker.version_by_alias(MODEL, "champion")
    assert found is not None
    assert found.checkpoint_digest == checkpoints[0].digest


def test_the_databases_of_the_compose_file_are_those_that_its_services_use(
    postgres: PostgresServer,
) -> None:
    script = (REPOSITORY / "mlflow/create-databases.sql").read_text(encoding="utf-8")
    for statement in re.findall(r"^[A-Z].*;$", script, re.MULTILINE):
        postgres.execute(statement)
    engine = sa.create_engine(postgres.url(), poolclass=sa.NullPool)
    with engine.connect() as connection:
        present = set(connection.exec_driver_sql("SELECT datname FROM pg_database").scalars())
    named = re.findall(r"@postgres:5432/(\w+)", str([s["environment"] for s in SERVICES.values()]))
    assert set(named) == {"mlflow", "prefect"}
    assert {*named, "ledger"} <= present
    Ledger(postgres.url("ledger"))


def test_the_versions_of_the_compose_file_are_the_pinned_ones() -> None:
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {name: version for name, found, version in (x.partition("==") for x in lines) if found}
    build = SERVICES["mlflow"]["build"]["dockerfile_inline"]
    assert f"mlflow=={pins['mlflow']} " in build
    assert f"'psycopg[binary]=={pins['psycopg']}'" in build
    assert SERVICES["prefect"]["image"] == f"prefecthq/prefect:{pins['prefect']}-python3.11"


def test_each_variable_of_the_compose_file_is_explained() -> None:
    folder = REPOSITORY / "mlflow"
    asked = set(re.findall(r"\$\{(\w+)", (folder / "compose.yaml").read_text(encoding="utf-8")))
    example = (folder / ".env.example").read_text(encoding="utf-8")
    assert set(re.findall(r"^(\w+)=", example, re.MULTILINE)) == asked
    secrets = re.findall(r"^(?:POSTGRES_PASSWORD|PREFECT_AUTH)=(.*)$", example, re.MULTILINE)
    assert secrets == ["", ""]
