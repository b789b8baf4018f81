"""New labelled rows as a new version of the dataset: files beside the old ones, tracked by DVC."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from flows.dvc_locks import remove_dead_locks
from flows.registry_access import open_ledger
from flows.stage_inputs import refuse_unconnected
from flows.workspace import Workspace
from pipeline_steps.data_params import SourceParams
from pipeline_steps.data_preparation.additions import (
    ADDITIONS,
    MANIFEST,
    WINDOW,
    ensure_additions,
    next_additions,
    read_additions,
    write_additions,
)
from pipeline_steps.data_preparation.held_back import held_back_rows
from pipeline_steps.data_preparation.readers import RawRow, RowReader, require_columns
from pipeline_steps.digests import value_digest
from pipeline_steps.errors import DataError, HoldfastError
from pipeline_steps.files import (
    atomic_directory,
    remove_partial_files,
    write_text_atomically,
)
from pipeline_steps.registry.ledger import LedgerEntry
from pipeline_steps.registry.retrain_history import failed_triggers, has_failed
from pipeline_steps.types import Value

RawFields = Mapping[str, Any]
"""A row as a raw file holds it: under the names that ``ingest.columns`` maps."""
_TRAIN = "train"


class DatasetVersion(Value):
    """What one trigger added: its two files, how many rows they hold, the digest of DVC."""

    name: str
    train: str
    window: str
    n_train: int
    n_window: int
    digest: str


def add_dataset_version(
    workspace: Workspace, name: str, rows: Sequence[RawFields]
) -> DatasetVersion:
    """Return the dataset version with new labelled rows; those of a name are written once.

    Killed at any point, the next call goes on: the directory of the files appears whole, the list
    of sources after it, DVC's record last. Rows of a trigger that has failed before are replaced by
    those that it now brings, and what other failed triggers added is no longer read.

    Parameters
    ----------
    workspace : Workspace
        Held by the caller.
    name : str
        Of the trigger; names the directory.
    rows : sequence of mapping
        As the workspace's raw files hold them; read only where the files are not there yet, or are
        those of a retrain that failed.

    Raises
    ------
    ConfigurationError
        If the stage ``ingest`` of ``dvc.yaml`` does not depend on ``data/additions``.
    DataError
        If the rows lack a column that ``ingest.columns`` maps.
    """
    refuse_unconnected(workspace.root, [ADDITIONS.as_posix()])
    ensure_additions(workspace.root)
    remove_partial_files(workspace.root / ADDITIONS)
    directory = ADDITIONS / name
    paths = {part: (directory / f"{part}.jsonl").as_posix() for part in (_TRAIN, WINDOW)}
    anew = has_failed(_entries(workspace), name)
    if not (workspace.root / directory).exists() or (anew and rows):
        _write(workspace, workspace.root / directory, rows)
    _keep_list(workspace, name)
    write_additions(workspace.root, _sources(workspace, name, paths))
    return DatasetVersion(
        name=name,
        train=paths[_TRAIN],
        window=paths[WINDOW],
        n_train=_n_lines(workspace.root / paths[_TRAIN]),
        n_window=_n_lines(workspace.root / paths[WINDOW]),
        digest=track_additions(workspace.root),
    )


def withdraw_dataset_version(workspace: Workspace, name: str) -> None:
    """Let the data stages read what they read before a trigger added its rows; its files stay.

    What no data stage can use would stop every later command at the same place.
    """
    before = _kept_list(workspace, name)
    if before.exists() and _is_listed(workspace, name):
        write_text_atomically(workspace.root / MANIFEST, before.read_text(encoding="utf-8"))
        track_additions(workspace.root)


def _keep_list(workspace: Workspace, name: str) -> None:
    """Keep the list of sources as it was before a trigger, killed or not, came into it."""
    if not _is_listed(workspace, name):
        text = (workspace.root / MANIFEST).read_text(encoding="utf-8")
        _kept_list(workspace, name).parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(_kept_list(workspace, name), text)


def _kept_list(workspace: Workspace, name: str) -> Path:
    return workspace.state / "retrain" / name / "sources-before.yaml"


def _is_listed(workspace: Workspace, name: str) -> bool:
    return any(Path(s.path).parent.name == name for s in read_additions(workspace.root))


def _sources(workspace: Workspace, name: str, paths: dict[str, str]) -> tuple[SourceParams, ...]:
    """Return the list with the files of a trigger at its end, without those of failed retrains."""
    entries = _entries(workspace)
    gone = failed_triggers(entries)
    if has_failed(entries, name):  # its window is the newest, whatever stood behind it
        gone.add(name)
    earlier = [s for s in read_additions(workspace.root) if Path(s.path).parent.name not in gone]
    return next_additions(earlier, paths, workspace.params.retrain.kept_windows)


def fresh_rows(
    workspace: Workspace, rows: Sequence[RawFields], trigger: str | None = None
) -> list[RawFields]:
    """Return the rows that no retrain was given before: what was learnt from is no news.

    Parameters
    ----------
    workspace : Workspace
        Its ledger says which retrains failed: what they were given is still to be learnt from.
    rows : sequence of mapping
        As the workspace's raw files hold them.
    trigger : str, optional
        The one that asks: what it was given itself does not count.
    """
    unlearnt = {trigger, *failed_triggers(_entries(workspace))}
    files = [
        file
        for file in sorted((workspace.root / ADDITIONS).glob("*/*.jsonl"))
        if file.parent.name not in unlearnt
    ]
    columns = [name for name in workspace.params.ingest.columns.model_dump().values() if name]

    def key(row: RawFields) -> str:
        return value_digest([str(row.get(name)) for name in columns])

    added = {key(row) for file in files for row in read_lines(file)}
    return [row for row in rows if key(row) not in added]


def file_rows(path: Path, params: Any) -> list[RawFields]:
    """Return the rows of a labelled file in any format that ``ingest`` reads.

    Raises
    ------
    DataError
        If it cannot be read or lacks a mapped column.
    """
    rows: list[RawFields] = [r.fields for r in RowReader(path) if isinstance(r, RawRow)]
    wanted = [name for name in params.ingest.columns.model_dump().values() if name is not None]
    require_columns(path, dict.fromkeys(key for row in rows for key in row), wanted)
    return rows


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file of JSON lines that this module wrote."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def track_additions(root: Path) -> str:
    """Return DVC's digest of all added files after ``dvc add``: they can be pushed and restored."""
    remove_dead_locks(root)
    command = [sys.executable, "-P", "-m", "dvc", "add", "--quiet", ADDITIONS.as_posix()]
    answer = subprocess.run(  # noqa: S603 - this Python, our arguments, no shell
        command, cwd=root, capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        raise HoldfastError(
            f"dvc add {ADDITIONS} failed: {answer.stderr.strip() or answer.stdout.strip()}",
            expected="a directory that DVC can track",
            fix="mend what DVC says, then run the same command again: it goes on from here",
        )
    record = yaml.safe_load((root / f"{ADDITIONS}.dvc").read_text(encoding="utf-8"))
    return str(record["outs"][0]["md5"])


def _entries(workspace: Workspace) -> list[LedgerEntry]:
    return open_ledger(workspace).entries(workspace.params.register_.model_name)


def _write(workspace: Workspace, directory: Path, rows: Sequence[RawFields]) -> None:
    columns = workspace.params.ingest.columns
    if not rows:
        raise DataError(
            "there are no labelled rows to add",
            expected="labelled rows",
            fix="wait for labels, or name a file: holdfast retrain --labelled FILE",
        )
    texts = [_text(row, columns) for row in rows]
    held = held_back_rows(
        [str(row.get(columns.id or "") or number) for number, row in enumerate(rows)],
        [str(row.get(columns.label or "")) for row in rows],
        workspace.params.retrain.held_back,
        groups=[value_digest(text) for text in texts],
    )
    with atomic_directory(directory) as partial:
        for part, wanted in ((_TRAIN, False), (WINDOW, True)):
            chosen = [row for row, is_held in zip(rows, held, strict=True) if is_held == wanted]
            lines = [json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in chosen]
            # Half of a surrogate pair, which the traffic log keeps, is written as `?`.
            (partial / f"{part}.jsonl").write_text("".join(lines), "utf-8", errors="replace")


def _text(row: RawFields, columns: Any) -> str:
    """Return what a row says, white space and case apart: repeats stay on one side."""
    fields = ("text", "text_pair", "tokens", "context", "question", "messages")
    names = [getattr(columns, field) for field in fields]
    return " ".join(" ".join(str(row.get(n) or "").lower().split()) for n in names if n)


def _n_lines(path: Path) -> int:
    return sum(1 for _ in read_lines(path))
