"""New rows as a dataset version: whole or not at all, once, and restorable by DVC."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.registry_access import open_ledger
from flows.retraining import dataset_version
from flows.retraining.dataset_version import (
    add_dataset_version,
    track_additions,
    withdraw_dataset_version,
)
from flows.workspace import Workspace
from pipeline_steps.data_preparation.additions import ensure_additions, read_additions
from pipeline_steps.errors import DataError

ROWS = [{"text": f"text {i}", "label": f"l{i % 2}"} for i in range(20)]


def dvc(root: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-P", "-m", "dvc", *arguments, "-q"], cwd=root, check=True)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a DVC project with parameters and an ingest stage, and no data."""
    root = tmp_path_factory.mktemp("empty") / "w"
    (root / "data").mkdir(parents=True)
    dvc(root, "init", "--no-scm")
    params = {"ingest": {"sources": [{"path": "a.csv"}]}, "retrain": {"held_back": 0.25}}
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    (root / "dvc.yaml").write_text("stages: {ingest: {cmd: x, deps: [data/additions]}}")
    return root


@pytest.fixture
def workspace(empty: Path, tmp_path: Path) -> Workspace:
    return Workspace.open(Path(shutil.copytree(empty, tmp_path / "w")))


def files(root: Path) -> dict[str, str]:
    found = (root / "data/additions").rglob("*")
    return {p.relative_to(root).as_posix(): p.read_text() for p in found if p.is_file()}


def test_rows_are_parted_listed_and_tracked(workspace: Workspace) -> None:
    added = add_dataset_version(workspace, "one", ROWS)
    assert (added.n_train, added.n_window) == (16, 4)
    lines = [json.loads(line) for path in (added.train, added.window)
             for line in (workspace.root / path).read_text().splitlines()]  # fmt: skip
    assert sorted(row["text"] for row in lines) == sorted(row["text"] for row in ROWS)
    roles = [source.role for source in read_additions(workspace.root)]
    assert roles == ["train", "suite:window"]


def test_a_version_is_restored_by_dvc(workspace: Workspace) -> None:
    add_dataset_version(workspace, "one", ROWS)
    before, record = files(workspace.root), workspace.root / "data/additions.dvc"
    kept = record.read_bytes()
    second = [{"text": f"other {i}", "label": "l0"} for i in range(12)]
    add_dataset_version(workspace, "two", second)
    assert files(workspace.root) != before
    record.write_bytes(kept)
    dvc(workspace.root, "checkout", "--force", "data/additions.dvc")
    assert files(workspace.root) == before


def tell(workspace: Workspace, event: str, trigger: str) -> None:
    name = workspace.params.register_.model_name
    about = {"trigger": trigger, "kind": "scheduled"}
    open_ledger(workspace).append(event, model_name=name, actor="a", reason="r", evidence=about)


def test_rows_of_a_retrain_that_failed_are_replaced_by_those_that_it_brings_anew(
    workspace: Workspace,
) -> None:
    tell(workspace, "retrain_admitted", "one")
    add_dataset_version(workspace, "one", ROWS)
    assert add_dataset_version(workspace, "one", ROWS[:5]).n_train == 16  # interrupted: they stand
    tell(workspace, "retrain_failed", "one")
    tell(workspace, "retrain_admitted", "one")
    more = [*ROWS, *({"text": f"more {i}", "label": "l0"} for i in range(8))]
    added = add_dataset_version(workspace, "one", more)
    assert added.n_train + added.n_window == len(more)
    assert add_dataset_version(workspace, "one", []) == added
    assert [source.role for source in read_additions(workspace.root)] == ["train", "suite:window"]


def test_what_a_failed_retrain_added_is_no_longer_read_once_another_brings_rows(
    workspace: Workspace,
) -> None:
    """They come again with the next one: on both sides of it they would show it its own window."""
    tell(workspace, "retrain_admitted", "one")
    add_dataset_version(workspace, "one", ROWS)
    tell(workspace, "retrain_failed", "one")
    added = add_dataset_version(workspace, "two", ROWS)
    assert [source.path for source in read_additions(workspace.root)] == [added.train, added.window]
    tell(workspace, "retrain_admitted", "one")
    add_dataset_version(workspace, "one", ROWS[:10])
    roles = [source.role for source in read_additions(workspace.root)]
    assert roles == ["train", "suite:earlier_two", "train", "suite:window"]


def test_what_a_failed_retrain_added_is_taken_back_at_once(workspace: Workspace) -> None:
    """Rows that validation blocks would block every later command too."""
    for name in ("one", "two"):
        add_dataset_version(workspace, name, ROWS)
    before = read_additions(workspace.root)
    added = add_dataset_version(workspace, "three", ROWS)
    add_dataset_version(workspace, "three", [])  # killed meanwhile, and gone on with
    assert read_additions(workspace.root) != before
    withdraw_dataset_version(workspace, "three")
    assert read_additions(workspace.root) == before
    assert (workspace.root / added.train).exists()
    withdraw_dataset_version(workspace, "four")
    assert read_additions(workspace.root) == before


class Killed(BaseException):
    """Stands for a kill: nothing in the code catches it."""


@pytest.mark.parametrize("point", ["next_additions", "write_additions", "track_additions"])
def test_interrupted_anywhere_the_next_call_ends_in_the_same_state(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    other = Workspace.open(Path(shutil.copytree(workspace.root, tmp_path / "undisturbed")))
    expected = add_dataset_version(other, "one", ROWS)
    ensure_additions(workspace.root)

    def killed(*_: Any, **__: Any) -> None:
        raise Killed("in the middle")

    with monkeypatch.context() as patched:
        patched.setattr(dataset_version, point, killed)
        with pytest.raises(Killed, match="in the middle"):
            add_dataset_version(workspace, "one", ROWS)
    resumed = add_dataset_version(workspace, "one", [])  # its rows were written: they stand
    assert resumed == expected
    assert files(workspace.root) == files(other.root)


def test_a_torn_directory_is_cleared_away(workspace: Workspace) -> None:
    torn = workspace.root / "data/additions/.one.1234.partial"
    torn.mkdir(parents=True)
    (torn / "train.jsonl").write_text("{")
    add_dataset_version(workspace, "one", ROWS)
    assert not torn.exists()
    assert track_additions(workspace.root) == track_additions(workspace.root)


def test_no_rows_are_no_version(workspace: Workspace) -> None:
    with pytest.raises(DataError, match="there are no labelled rows to add"):
        add_dataset_version(workspace, "one", [])
