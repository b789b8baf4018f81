"""Where a result came from: commit, code version, lock, libraries."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pipeline_steps
from pipeline_steps.digests import file_digest, value_digest
from pipeline_steps.types import Provenance

PACKAGE_ROOT = Path(__file__).parent
_CORE = ("types", "params", "problem_defaults", "digests", "fields", "files", "noise")
PREDICTING_CODE = ("inference", "problems", "predictions_file")
"""The packages whose source decides what a checkpoint answers."""
ATTACKING_CODE = ("evaluation", "attack_types", *PREDICTING_CODE)
"""The packages whose source decides what it answers under attack."""
_LIBRARIES = ("torch", "transformers", "peft", "numpy", "mlflow-skinny", "dvc", "prefect")


def code_version(packages: Iterable[str]) -> str:
    """Return a digest over the source of the named step packages and of the core.

    It changes when any line of them changes, so a fingerprint that contains it never reuses a
    result of other code.

    Parameters
    ----------
    packages : iterable of str
        Names below ``pipeline_steps``, for example ``("training", "problems")``.
    """
    names = sorted({*packages, *_CORE})
    files = [file for name in names for file in _sources(name)]
    return value_digest({str(f.relative_to(PACKAGE_ROOT)): file_digest(f) for f in files})


def provenance(directory: Path, packages: Iterable[str]) -> Provenance:
    """Return who, what and when of a result made now of data in ``directory``.

    Commit and ``dvc.lock`` are those of the repository and the workspace that it lies in.
    """
    status = _git(directory, "status", "--porcelain", "--untracked-files=no")
    above = (directory.resolve(), *directory.resolve().parents)
    lock = next((path for place in above if (path := place / "dvc.lock").exists()), None)
    return Provenance(
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        holdfast_version=pipeline_steps.__version__,
        code_version=code_version(packages),
        git_commit=_git(directory, "rev-parse", "HEAD"),
        git_dirty=None if status is None else bool(status),
        lock_digest=None if lock is None else file_digest(lock),
        python=platform.python_version(),
        platform=platform.platform(),
        libraries=_installed(_LIBRARIES),
    )


def _sources(name: str) -> list[Path]:
    path = PACKAGE_ROOT / name
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def _installed(names: Iterable[str]) -> dict[str, str]:
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _git(directory: Path, *arguments: str) -> str | None:
    """Return git's answer, or ``None`` outside a repository, before a commit or without git."""
    try:
        answer = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            ["git", "-C", str(directory), *arguments],  # noqa: S607 - the user's git
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
