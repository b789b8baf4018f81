"""The raw files of a workspace under DVC: its project made, the files' digests recorded."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from flows.dvc_locks import remove_dead_locks
from pipeline_steps.errors import HoldfastError, MissingDependencyError

_BEGUN = Path(".holdfast/dvc-begun")


def track_raw(directory: Path, files: Sequence[str]) -> None:
    """Make the directory a DVC project of its own and record the digests of its raw ``files``.

    Called again after a kill at any point, it ends as if it had not been killed.

    Raises
    ------
    HoldfastError
        With what DVC said, if it fails.
    MissingDependencyError
        If DVC is not installed.
    """
    remove_dead_locks(directory)  # a killed init leaves DVC's record of locks, torn even
    _make_project(directory)
    for name in files:  # one that a kill tore would make DVC refuse
        (directory / f"{name}.dvc").unlink(missing_ok=True)
    _dvc(directory, "add", *files)


def _make_project(directory: Path) -> None:
    """Make the project whole or anew: DVC writes its config in steps, and each in place.

    So a config that is there says nothing: a kill leaves one without ``no_scm``, or an empty one,
    which makes every later command fail. Only a project that nobody began here stays as it is.
    """
    begun = directory / _BEGUN
    if begun.exists() or not (directory / ".dvc" / "config").exists():
        begun.touch()
        shutil.rmtree(directory / ".dvc", ignore_errors=True)
        _dvc(directory, "init", *_scm_option(directory))
        _dvc(directory, "config", "core.analytics", "false")
        begun.unlink()


def _scm_option(directory: Path) -> list[str]:
    """Return how ``dvc init`` is told where git is: nowhere, here, or further up."""
    if _git(directory, "check-ignore", "--quiet", ".") == 0:
        return ["--no-scm"]
    if _git(directory, "rev-parse", "--is-inside-work-tree") != 0:
        return ["--no-scm"]
    return [] if (directory / ".git").exists() else ["--subdir"]


def _git(directory: Path, *arguments: str) -> int:
    try:
        command = ["git", "-C", str(directory), *arguments]
        return subprocess.run(command, capture_output=True, check=False).returncode  # noqa: S603
    except FileNotFoundError:
        return 127


def _dvc(directory: Path, *arguments: str) -> None:
    """Run DVC in the workspace with this Python; ``-P`` keeps the workspace off its path."""
    command = [sys.executable, "-P", "-m", "dvc", *arguments]
    answer = subprocess.run(  # noqa: S603 - this Python, our arguments, no shell
        command, cwd=directory, capture_output=True, text=True, check=False
    )
    if "No module named dvc" in answer.stderr:
        raise MissingDependencyError(
            "dvc is not installed", expected="dvc beside holdfast", fix="pip install dvc"
        )
    if answer.returncode != 0:
        raise HoldfastError(
            f"dvc {arguments[0]} failed in {directory} with exit status {answer.returncode}:\n"
            f"{answer.stderr.strip() or answer.stdout.strip()}",
            expected="a directory that DVC can work in, with space left",
            fix="mend what DVC says, then run the same command again: it goes on from here",
        )
