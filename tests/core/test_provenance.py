"""Provenance names commit, code and data; a change in the code changes the code version."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline_steps import provenance as module
from pipeline_steps.digests import file_digest
from pipeline_steps.provenance import code_version, provenance


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the package that a test may edit."""
    copy = tmp_path / "pipeline_steps"
    shutil.copytree(module.PACKAGE_ROOT, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(module, "PACKAGE_ROOT", copy)
    return copy


def git(directory: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=directory, check=True, capture_output=True)


def test_code_version_ignores_the_order_and_repetition_of_names() -> None:
    names = ("training", "problems")
    assert code_version(names) == code_version((*reversed(names), "training"))


@pytest.mark.parametrize("edited", ["training/__init__.py", "params.py"])
def test_code_version_changes_with_the_step_and_with_the_core(package: Path, edited: str) -> None:
    before = code_version(("training",))
    (package / edited).write_text((package / edited).read_text() + "\n# another line\n")
    assert code_version(("training",)) != before


def test_code_version_stays_when_other_steps_change(package: Path) -> None:
    before = code_version(("training",))
    (package / "reporting" / "__init__.py").write_text("# another line\n")
    assert code_version(("training",)) == before


def test_code_version_sees_a_new_module(package: Path) -> None:
    before = code_version(("training",))
    (package / "training" / "new_module.py").write_text("")
    assert code_version(("training",)) != before


def test_outside_git_the_commit_is_unknown_and_not_invented(tmp_path: Path) -> None:
    made = provenance(tmp_path, ("training",))
    assert (made.git_commit, made.git_dirty, made.lock_digest) == (None, None, None)


def test_in_git_the_commit_and_its_cleanliness_are_recorded(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "dvc.lock").write_text("stages: {}\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    clean = provenance(tmp_path, ("training",))
    (tmp_path / "dvc.lock").write_text("stages: {a: 1}\n")
    dirty = provenance(tmp_path, ("training",))
    assert len(clean.git_commit or "") == 40
    assert (clean.git_dirty, dirty.git_dirty) == (False, True)
    assert dirty.lock_digest == file_digest(tmp_path / "dvc.lock") != clean.lock_digest


def test_data_below_a_workspace_is_of_its_commit_and_lock(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "dvc.lock").write_text("stages: {}\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "first")
    above, below = (provenance(place, ()) for place in (tmp_path, tmp_path / "data"))
    assert (below.git_commit, below.lock_digest) == (above.git_commit, above.lock_digest)
    assert below.lock_digest == file_digest(tmp_path / "dvc.lock")


def test_without_git_itself_the_rest_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    made = provenance(tmp_path, ("training",))
    assert made.git_commit is None
    assert made.libraries["torch"]
