"""A registered model: what lies in it, and that it answers without Holdfast, also over HTTP."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from http_servers import running
from postgresql import free_port
from registry_builders import MODEL, TEXTS, recorded_answers

from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.types import Checkpoint

PAIRS = [None, "was it good", "", "not my card"]
PREDICT = """
import importlib.util, json, sys
from importlib.machinery import PathFinder
from pathlib import Path

tracking_uri, model_uri, rows, hidden = sys.argv[1:]
hidden = set(json.loads(hidden))


class AsInstalledFromTheRequirements(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name in ("pipeline_steps", "flows"):
            path = [place for place in sys.path if Path(place).name == "code"]
        elif name in hidden:
            return None
        return super().find_spec(name, path, target)


def refuse_the_network(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise PermissionError(f"network: {event} {arguments}")


sys.meta_path[:] = [
    AsInstalledFromTheRequirements if finder is PathFinder else finder
    for finder in sys.meta_path
    if "__editable__" not in getattr(finder, "__module__", "")
]
sys.addaudithook(refuse_the_network)
assert all(importlib.util.find_spec(name) is None for name in ("pipeline_steps", "flows"))
import mlflow, pandas

mlflow.set_tracking_uri(tracking_uri)
model = mlflow.pyfunc.load_model(model_uri)
answers = [model.predict(pandas.DataFrame(frame, dtype=object)).to_dict("records") for frame in json.loads(rows)]
print(json.dumps({"answers": answers, "code": sys.modules["pipeline_steps"].__file__}))
"""


def artifact_files(registry: Path, version: int = 1) -> dict[str, Path]:
    """Return the files of a version's model directory by their names in it."""
    for marker in (registry.parent / "artifacts").rglob("MLmodel"):
        found = {str(p.relative_to(marker.parent)): p for p in marker.parent.rglob("*")}
        if f"artifacts/checkpoint-{version - 1}" in found:
            return {name: path for name, path in found.items() if path.is_file()}
    raise AssertionError(f"no model directory of version {version}")


def without_python_path() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def needed_by(requirements: list[str]) -> set[str]:
    """Return the installed distributions that requirements bring along, extras aside."""
    found: set[str] = set()
    waiting = list(requirements)
    while waiting:
        name = normal(re.split(r"[\[<>=!~ ;(]", waiting.pop())[0])
        if name in found:
            continue
        try:
            wanted = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform or Python
        found.add(name)
        waiting += [line for line in wanted if "extra ==" not in line]
    return found


def not_brought_by(requirements: list[str]) -> list[str]:
    """Return the modules here that would be missing where only the requirements are installed."""
    brought = needed_by(requirements)
    owners = importlib.metadata.packages_distributions()
    return [
        module for module, names in owners.items() if not {normal(name) for name in names} & brought
    ]


def requirements_of(registry: Path) -> list[str]:
    return artifact_files(registry)["requirements.txt"].read_text().splitlines()


@pytest.fixture(scope="module")
def loaded(
    stocked_registry: Path, tmp_path_factory: pytest.TempPathFactory, checkpoints: list[Checkpoint]
) -> dict[str, Any]:
    """Return what a process says of three frames.

    It has no Holdfast, no network, no package beyond the model's requirements, and reads no pickle.
    """
    frames = [{"text": TEXTS}, {"text": TEXTS, "text_pair": PAIRS}, {"text": []}]
    done = subprocess.run(
        [sys.executable, "-P", "-c", PREDICT, f"sqlite:///{stocked_registry}",
         f"models:/{MODEL}/1", json.dumps(frames),
         json.dumps(not_brought_by(requirements_of(stocked_registry)))],
        cwd=tmp_path_factory.mktemp("elsewhere"), capture_output=True, text=True, check=False,
        env={**without_python_path(), "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def served(stocked_registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of `mlflow models serve`."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [
        *(sys.executable, "-P", "-m", "mlflow", "models", "serve", "--env-manager", "local"),
        *("-m", f"models:/{MODEL}/1", "-h", "127.0.0.1", "-p", str(port)),
    ]
    directory = tmp_path_factory.mktemp("served")
    tracking_uri = f"sqlite:///{stocked_registry}"
    with running(command, f"{address}/ping", directory, MLFLOW_TRACKING_URI=tracking_uri):
        yield address


def ask(address: str, content: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"{address}/invocations",
        json.dumps(content).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def assert_same(
    answers: list[dict[str, Any]], checkpoint: Checkpoint, pairs: list[str | None] | None
) -> None:
    expected = Predictor.from_checkpoint(checkpoint.path).predict(TEXTS, pairs)
    assert [answer["label"] for answer in answers] == [answer["label"] for answer in expected]
    assert [answer["score"] for answer in answers] == pytest.approx(
        [answer["score"] for answer in expected], abs=1e-6
    )


def test_no_file_of_the_artifact_is_a_pickle(stocked_registry: Path) -> None:
    """Protocol 2 and later begin with 0x80; what torch.save writes is a zip file."""
    files = artifact_files(stocked_registry)
    starts = {name: path.read_bytes()[:2] for name, path in files.items()}
    assert [n for n, start in starts.items() if start[:1] == b"\x80" or start == b"PK"] == []
    assert {Path(name).suffix for name in files} <= {
        *("", ".json", ".yaml", ".txt", ".py", ".typed", ".html", ".j2", ".css", ".js"),
        ".safetensors",
    }


def test_the_whole_package_and_the_whole_checkpoint_travel_with_the_model(
    stocked_registry: Path, checkpoints: list[Checkpoint]
) -> None:
    files = artifact_files(stocked_registry)
    assert "code/pipeline_steps/inference/predictor.py" in files
    assert not [name for name in files if "__pycache__" in name or name.endswith(".pyc")]
    weights = "model.safetensors"
    assert files[f"artifacts/checkpoint-0/{weights}"].read_bytes() == (
        (checkpoints[0].path / weights).read_bytes()
    )


def test_signature_example_and_digests_are_there(
    stocked_registry: Path, checkpoints: list[Checkpoint]
) -> None:
    files = artifact_files(stocked_registry)
    described = yaml.safe_load(files["MLmodel"].read_text())
    assert json.loads(described["signature"]["inputs"]) == [
        {"type": "string", "name": "text", "required": True},
        {"type": "string", "name": "text_pair", "required": False},
    ]
    assert json.loads(described["signature"]["outputs"]) == [
        {"type": "string", "name": "label", "required": True},
        {"type": "double", "name": "score", "required": True},
    ]
    example = json.loads(files["input_example.json"].read_text())
    assert example["data"] == [[text] for text in TEXTS[:2]]
    assert described["metadata"]["checkpoint_digest"] == checkpoints[0].digest
    assert described["metadata"]["base_digest"] == checkpoints[0].base_digest


def test_requirements_are_pinned_without_local_builds(stocked_registry: Path) -> None:
    lines = requirements_of(stocked_registry)
    assert all(re.fullmatch(r"[a-z]+==[0-9.]+", line) for line in lines)
    for line in lines:
        name, _, version = line.partition("==")
        assert importlib.metadata.version(name).partition("+")[0] == version


def test_a_process_without_holdfast_answers_as_the_checkpoint_does(
    loaded: dict[str, Any], checkpoints: list[Checkpoint]
) -> None:
    assert_same(loaded["answers"][0], checkpoints[0], None)
    assert Path(loaded["code"]).parent.parent.name == "code"


def test_pairs_are_read_and_may_be_missing(
    loaded: dict[str, Any], checkpoints: list[Checkpoint]
) -> None:
    assert_same(loaded["answers"][1], checkpoints[0], PAIRS)


def test_no_rows_give_no_answers(loaded: dict[str, Any]) -> None:
    assert loaded["answers"][2] == []


def test_a_served_model_answers_over_http_as_the_checkpoint_does(
    served: str, checkpoints: list[Checkpoint]
) -> None:
    alone = {"columns": ["text"], "data": [[text] for text in TEXTS]}
    assert_same(ask(served, {"dataframe_split": alone})["predictions"], checkpoints[0], None)
    paired = {"columns": ["text", "text_pair"], "data": list(zip(TEXTS, PAIRS, strict=True))}
    assert_same(ask(served, {"dataframe_split": paired})["predictions"], checkpoints[0], PAIRS)
    assert (
        ask(served, {"inputs": {"text": TEXTS[:1]}})["predictions"][0]["label"]
        == (recorded_answers(checkpoints[0])[0].answer["label"])
    )


def test_a_served_model_refuses_a_frame_without_texts(served: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400") as refused:
        ask(served, {"dataframe_split": {"columns": ["words"], "data": [["card"]]}})
    assert b"missing inputs ['text']" in refused.value.read()
    refused.value.close()
