"""Runs ``dvc repro`` and reads ``dvc.lock`` into dataset references: the one bridge to DVC."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import yaml

from flows.dvc_locks import remove_dead_locks
from flows.pipeline import Call, call_directly
from flows.stage_inputs import refuse_unconnected
from flows.stage_messages import follow
from flows.storage_errors import explain_message
from flows.tethered import tethered
from flows.workspace import Workspace
from pipeline_steps.digests import file_digest
from pipeline_steps.errors import (
    DataError,
    DirtyDataError,
    HoldfastError,
    error_from_json,
)
from pipeline_steps.types import DatasetRef, ReportKind, ValidationReport, Value

SPLITS = Path("data/splits")
_SUITES = Path("data/suites")
_REPORT = Path("data/validated/report.json")
_OUT_OF_SCOPE = "out_of_scope__"  # as the split stage names such a partition
_REFUSAL = Path("data/refusal.json")
_SHOWN = 3_000


class Datasets(Value):
    """Everything that a training run reads, by content."""

    train: DatasetRef
    valid: DatasetRef
    test: DatasetRef
    suites: tuple[DatasetRef, ...]
    noisy_valid: tuple[DatasetRef, ...] = ()
    validation: ValidationReport

    @property
    def judged(self) -> tuple[DatasetRef, ...]:
        """The test set and all suites: what every version is scored on."""
        return (self.test, *self.suites)


def prepare_data(workspace: Workspace, *, call: Call = call_directly) -> Datasets:
    """Return the datasets of the workspace after bringing every data stage up to date.

    Raises
    ------
    ConfigurationError
        If DVC does not know that ``ingest`` reads a declared source.
    """
    sources = workspace.params.ingest.sources
    refuse_unconnected(workspace.root, [source.path for source in sources])
    call(reproduce_data, workspace.root)
    return call(read_datasets, workspace.root)


def reproduce_data(root: Path) -> None:
    """Run ``dvc repro`` in ``root``: unchanged stages are skipped.

    When this process is killed, DVC and its stage end with it, and the next call goes on from
    what they had finished.

    Raises
    ------
    ValidationBlockedError, DataError
        If a stage refuses: the stage's own error, from ``data/refusal.json``.
    """
    (root / _REFUSAL).unlink(missing_ok=True)
    remove_dead_locks(root)
    command = [sys.executable, "-P", "-m", "dvc", "repro"]
    with tethered(command, cwd=root, env=_stage_environment()) as process:
        messages = follow(process.stdout or ())
    if process.returncode != 0:
        raise _stage_refusal(root, messages)


def read_datasets(root: Path) -> Datasets:
    """Return references to the split and suite files that ``dvc.lock`` records.

    Raises
    ------
    DirtyDataError
        If a file differs from what ``dvc.lock`` records.
    """
    locked = _locked_directories(root)
    splits = _verified_digests(root, SPLITS, locked)
    suites = _verified_digests(root, _SUITES, locked)
    manifest = json.loads((root / _SUITES / "manifest.json").read_text(encoding="utf-8"))
    parts = {
        name: _reference(root / SPLITS / f"{name}.parquet", name, splits[f"{name}.parquet"])
        for name in ("train", "valid", "test")
    }
    return Datasets(
        **parts,
        suites=tuple(
            _suite(_reference(root / _SUITES / s["file"], s["name"], suites[s["file"]], s["kind"]))
            for s in manifest["suites"]
        ),
        noisy_valid=tuple(
            _reference(root / _SUITES / s["file"], s["name"], suites[s["file"]], s["kind"], "valid")
            for s in manifest["noisy_valid"]
        ),
        validation=_validation_report(root),
    )


def _validation_report(root: Path) -> ValidationReport:
    content = json.loads((root / _REPORT).read_text(encoding="utf-8"))
    return ValidationReport.model_validate(
        {name: content[name] for name in ValidationReport.model_fields if name in content}
    )


def _reference(
    path: Path, name: str, digest: str, kind: ReportKind = "clean", split: str | None = None
) -> DatasetRef:
    import pyarrow.parquet as pq

    return DatasetRef(
        name=name,
        split=split or (name if name in ("train", "valid", "test") else "test"),
        path=path,
        digest=digest,
        n_examples=pq.read_metadata(path).num_rows,
        kind=kind,
    )


def _suite(found: DatasetRef) -> DatasetRef:
    """Return a suite; that it is out of scope stands in the name of its file."""
    if not found.name.startswith(_OUT_OF_SCOPE):
        return found
    name = found.name.removeprefix(_OUT_OF_SCOPE)
    return found.model_copy(update={"name": name, "kind": "out_of_scope"})


def _locked_directories(root: Path) -> dict[str, str]:
    """Return the recorded md5 of each output directory, by its path."""
    lock = root / "dvc.lock"
    if not lock.exists():
        raise DataError(
            f"there is no {lock.name} in {root}",
            expected="data stages that have run",
            fix="holdfast prepare",
        )
    try:
        stages: dict[str, Any] = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"]
        return {out["path"]: out["md5"] for s in stages.values() for out in s.get("outs", [])}
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError) as error:
        raise DirtyDataError(
            f"{lock} cannot be read: {error!r}",
            expected="a lock file as DVC writes it",
            fix="restore it (git checkout dvc.lock) or remove it, then: holdfast prepare",
        ) from error


def _verified_digests(root: Path, directory: Path, locked: dict[str, str]) -> dict[str, str]:
    """Return the md5 of each file in ``directory`` after comparing the whole with ``dvc.lock``."""
    digests = {
        file.relative_to(root / directory).as_posix(): file_digest(file, "md5")
        for file in sorted((root / directory).rglob("*"))
        if file.is_file()
    }
    if dvc_directory_digest(digests) != locked.get(directory.as_posix()):
        raise DirtyDataError(
            f"{directory} does not hold what dvc.lock records",
            expected="files as the data stages wrote them",
            fix="holdfast prepare (it restores or rebuilds them)",
        )
    return digests


def dvc_directory_digest(digests: dict[str, str]) -> str:
    """Return the digest that DVC gives a directory with these files (name -> md5)."""
    import hashlib

    entries = [{"md5": md5, "relpath": name} for name, md5 in sorted(digests.items())]
    text = json.dumps(entries, sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + ".dir"


def _stage_environment() -> dict[str, str]:
    """Return the environment of the stages: this Python first, no telemetry, rows are counted."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    ours = {"PATH": path, "DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "1", "HOLDFAST_COUNT_ROWS": "1"}
    return {**os.environ, **ours}


def _stage_refusal(root: Path, messages: str) -> HoldfastError:
    """Return the error that the stage raised, or DVC's own words where no stage did."""
    refusal = root / _REFUSAL
    if refusal.exists():
        return error_from_json(refusal.read_text(encoding="utf-8"))
    of_the_disk = explain_message(messages)
    if of_the_disk is not None:
        return of_the_disk
    return DataError(
        f"dvc repro failed:\n{messages.strip()[-_SHOWN:]}",
        expected="stages that run to their end",
        fix="mend what is said above, then: holdfast prepare",
    )
