"""``holdfast doctor`` names each thing that is missing and what mends it, and shows no secret."""

from __future__ import annotations

import json
import socket
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.commands import doctor_installed, doctor_places
from flows.commands.doctor import Diagnosis, diagnose, render
from flows.commands.doctor_places import without_password
from flows.commands.findings import Finding
from flows.commands.params_text import params_text
from pipeline_steps.data_params import IngestParams, SourceParams
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.params import Params


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    params = Params(ingest=IngestParams(sources=(SourceParams(path="data/raw/a.csv"),)))
    (tmp_path / "params.yaml").write_text(params_text(params), encoding="utf-8")
    return tmp_path


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def finding(diagnosis: Diagnosis, name: str) -> Finding:
    return next(f for f in diagnosis.findings if f.name == name)


def test_a_new_workspace_is_healthy_and_the_data_are_to_be_prepared(workspace: Path) -> None:
    diagnosis = diagnose(workspace)
    assert diagnosis.healthy, render(diagnosis)
    assert finding(diagnosis, "data").fix == "holdfast prepare"
    assert finding(diagnosis, "base model").status == "ok"


def test_looking_writes_nothing(workspace: Path) -> None:
    before = sorted(workspace.rglob("*"))
    diagnose(workspace)
    assert sorted(workspace.rglob("*")) == before


def test_outside_a_workspace_the_machine_is_judged_alone(tmp_path: Path) -> None:
    diagnosis = diagnose(tmp_path)
    assert diagnosis.healthy
    assert "holdfast init" in (finding(diagnosis, "workspace").fix or "")


def test_mistakes_in_params_are_a_problem(workspace: Path) -> None:
    (workspace / "params.yaml").write_text("finetune: {epocs: 3}\n")
    diagnosis = diagnose(workspace)
    assert not diagnosis.healthy
    assert "did you mean 'epochs'" in finding(diagnosis, "params.yaml").found


def test_another_base_model_than_the_named_one_is_a_problem(workspace: Path) -> None:
    params = Params(
        ingest=IngestParams(sources=(SourceParams(path="a.csv"),)),
        finetune=FinetuneParams(base_digest="0" * 64),
    )
    (workspace / "params.yaml").write_text(params_text(params))
    assert finding(diagnose(workspace), "base model").status == "problem"


def test_a_missing_library_is_a_problem_with_the_command_that_installs_it(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = doctor_installed._version
    monkeypatch.setattr(
        doctor_installed, "_version", lambda n: None if n == "peft" else installed(n)
    )
    found = finding(diagnose(workspace), "libraries")
    assert (found.status, found.found) == ("problem", "missing: peft")
    assert "install" in (found.fix or "")


def test_a_library_of_another_version_than_pinned_is_a_note(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "constraints.txt").write_text("peft==0.0.1\n")
    found = finding(diagnose(workspace), "pinned versions")
    assert found.status == "note"
    assert "(pinned: 0.0.1)" in found.found


def test_every_extra_of_the_package_is_looked_at(tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    known = set(tomllib.loads(text)["project"]["optional-dependencies"]) - {"dev"}
    assert {found.name for found in doctor_installed.extras(tmp_path)} == {
        f"extra {name}" for name in known
    }


def test_a_server_that_answers_is_well(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, listening: int
) -> None:
    monkeypatch.setenv("HOLDFAST_MLFLOW_TRACKING_URI", f"http://127.0.0.1:{listening}")
    assert finding(diagnose(workspace), "MLflow").found.endswith("answers")


def test_a_server_that_does_not_answer_is_a_problem_and_its_password_stays_hidden(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("HOLDFAST_LEDGER_URL", f"postgresql://ana:s3cret@127.0.0.1:{port}/l")
    diagnosis = diagnose(workspace)
    assert finding(diagnosis, "ledger").status == "problem"
    assert "HOLDFAST_LEDGER_URL" in (finding(diagnosis, "ledger").fix or "")
    assert "s3cret" not in render(diagnosis) + diagnosis.model_dump_json()


@pytest.mark.parametrize("url", ["http://u:s3cret@localhost:50x0", "http://[::1", "http://a..b"])
def test_what_is_no_address_is_a_problem_that_names_the_variable(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("HOLDFAST_MLFLOW_TRACKING_URI", url)
    found = next(place for place in doctor_places.addresses(workspace) if place.name == "MLflow")
    assert (found.status, "is no address" in found.found) == ("problem", True)
    assert "HOLDFAST_MLFLOW_TRACKING_URI" in (found.fix or "")
    assert "s3cret" not in found.model_dump_json()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
        ("http://u:p@ss/w@h/x", "http://u:***@h/x"),
        ("https://h/x?api_key=1&b=2&Token=3", "https://h/x?api_key=***&b=2&Token=***"),
    ],
)
def test_secrets_in_an_address_are_masked(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_too_little_room_is_a_problem(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_places, "_ENOUGH_BYTES", 1 << 60)
    assert finding(diagnose(workspace), "disk").status == "problem"


def test_the_json_form_says_whether_all_is_well(workspace: Path) -> None:
    printed = json.loads(diagnose(workspace).model_dump_json())
    assert printed["healthy"] is True
    assert {f["status"] for f in printed["findings"]} <= {"ok", "note", "problem"}
