"""``holdfast init``: a workspace from the user's own files."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from flows.commands.params_text import params_text
from flows.commands.raw_columns import find_columns
from flows.commands.raw_files import named_files
from flows.commands.raw_tracking import track_raw
from flows.workspace import refuse_unusable
from pipeline_steps.data_params import RESERVED_SUITES, ColumnsParams
from pipeline_steps.digests import file_digest, value_digest
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.files import (
    atomic_directory,
    atomic_file,
    remove_partial_files,
    write_text_atomically,
)
from pipeline_steps.params import Params, parse_params
from pipeline_steps.presets import PRESETS
from pipeline_steps.problems.catalog import get_problem

_RECORD = Path(".holdfast/init.json")
_RAW = Path("data/raw")
_SPLIT_OF = {"valid": "valid_fraction", "test": "test_fraction"}


def init_workspace(
    directory: Path,
    *,
    problem: str,
    files: Mapping[str, Path | None],
    suites: Sequence[str] = (),
    columns: Mapping[str, str | None] | None = None,
    preset: str | None = None,
    force: bool = False,
) -> str:
    """Return what to do next after making ``directory`` a workspace.

    The raw files are copied (the originals stay untouched and unlinked). Everything is checked
    before anything is written. Killed at any point, the same command goes on; run again after it
    has finished, it changes nothing.

    Parameters
    ----------
    directory : Path
        New or empty, unless ``force``.
    files : mapping
        Role (``train``, ``valid``, ``test``) -> raw file or ``None``; ``train`` is needed.
    suites : sequence of str
        ``NAME=FILE`` for each further file to judge on.
    columns : mapping, optional
        Field of ``ingest.columns`` -> column in the files; needed ones are guessed if absent.
    preset : str, optional
        One of :data:`pipeline_steps.presets.PRESETS`; its values are written into ``params.yaml``.

    Raises
    ------
    ConfigurationError
        If the directory cannot be used, a file has no such column, or the preset is unknown or
        does not go with the problem.
    """
    directory = directory.resolve()
    refuse_unusable(directory)
    sources = named_files(files, suites, RESERVED_SUITES)
    get_problem(problem)  # an unknown one is refused before any file is read
    found = find_columns(list(sources.values()), columns or {}, problem)
    params = _params(directory, problem, sources, found, preset)
    request = value_digest([params.model_dump(mode="json"), [str(p) for p in sources.values()]])
    if _finished(directory, request) and not force:
        return f"{directory} is this workspace already; nothing was changed\n{_next(directory)}"
    _claim(directory, request, force=force)
    _write_raw(directory, sources)
    _write_texts(directory, params, sources)
    track_raw(directory, [_raw_path(r, p).as_posix() for r, p in sources.items()])
    _record(directory, request, finished=True)
    return f"made the workspace {directory}\n{_next(directory)}"


def _params(
    directory: Path,
    problem: str,
    sources: Mapping[str, Path],
    columns: ColumnsParams,
    preset: str | None,
) -> Params:
    """Return the defaults with these sources; a part that has its own file takes no share."""
    raw = [{"path": _raw_path(r, p).as_posix(), "role": r} for r, p in sources.items()]
    if not set(_SPLIT_OF) <= set(sources):
        raw[0]["role"] = "auto"
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", directory.name).strip("-") or "holdfast"
    values = {
        "problem": problem,
        "ingest": {"sources": raw, "columns": columns.model_dump()},
        "split": {share: 0.0 for role, share in _SPLIT_OF.items() if role in sources},
        "register": {"model_name": name, "experiment": name},
    }
    return parse_params({**values, **_preset(preset)}, source="the command line")


def _preset(name: str | None) -> Mapping[str, Any]:
    """Return the sections of a preset; without a name none."""
    if name is None:
        return {}
    if name not in PRESETS:
        raise ConfigurationError(
            f"there is no preset {name}",
            expected=f"--preset {' or '.join(PRESETS)}",
            fix="leave --preset away, or name one of these",
        )
    return PRESETS[name]


def _raw_path(role: str, original: Path) -> Path:
    """Return where the copy of a file goes: its role for a name, its own suffixes."""
    if original.is_dir():
        return _RAW / role.replace(":", "-")
    name = original.name.lower()
    suffix = Path(name.removesuffix(".gz")).suffix
    return _RAW / (role.replace(":", "-") + suffix + (".gz" * name.endswith(".gz")))


def _finished(directory: Path, request: str) -> bool:
    return _read_record(directory) == {"request": request, "finished": True}


def _read_record(directory: Path) -> dict[str, Any]:
    record = directory / _RECORD
    return dict(json.loads(record.read_text(encoding="utf-8"))) if record.exists() else {}


def _record(directory: Path, request: str, *, finished: bool) -> None:
    text = json.dumps({"request": request, "finished": finished})
    write_text_atomically(directory / _RECORD, text)


def _claim(directory: Path, request: str, *, force: bool) -> None:
    """Refuse a directory with other content; what the same, killed command left is welcome."""
    ours = _read_record(directory) == {"request": request, "finished": False}
    if directory.exists() and any(directory.iterdir()) and not (ours or force):
        raise ConfigurationError(
            f"{directory} is not empty",
            expected="a new or an empty directory",
            fix="name another one; or add --force: params.yaml, dvc.yaml and data/raw are "
            "overwritten, .gitignore and .dvcignore get more lines, everything else is kept",
        )
    _record(directory, request, finished=False)


def _write_raw(directory: Path, sources: Mapping[str, Path]) -> None:
    """Copy the raw files: a link would let an edit of the original reach DVC's cache."""
    (directory / _RAW).mkdir(parents=True, exist_ok=True)
    for place in (directory, directory / _RAW, (directory / _RECORD).parent):
        remove_partial_files(place)  # what a killed init left
    for role, original in sources.items():
        target = directory / _raw_path(role, original)
        if original.is_dir():
            with atomic_directory(target) as partial:
                shutil.copytree(original, partial, dirs_exist_ok=True)
        elif not target.exists() or file_digest(target) != file_digest(original):
            with atomic_file(target) as temporary:
                shutil.copyfile(original, temporary)


def _write_texts(directory: Path, params: Params, sources: Mapping[str, Path]) -> None:
    """Write what a workspace has beside its raw files; what may be the user's own is kept."""
    values = _values(params, sources)
    dvc = _template("dvc.yaml.in").substitute(values)
    write_text_atomically(directory / "dvc.yaml", dvc)
    write_text_atomically(directory / "params.yaml", params_text(params))
    for name in ("gitignore", "dvcignore"):
        _add_lines(directory / f".{name}", _text(name))
    for name, text in (
        ("README.md", _template("README.md").substitute(values)),
        (".github/workflows/holdfast.yaml", _text("github.yaml")),
        (".gitlab-ci.yml", _text("gitlab.yaml")),
    ):
        if not (directory / name).exists():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            write_text_atomically(directory / name, text)


def _values(params: Params, sources: Mapping[str, Path]) -> dict[str, str]:
    raw = [_raw_path(role, original).as_posix() for role, original in sources.items()]
    rows = [f"| `{path}` | `{p.name}` |" for path, p in zip(raw, sources.values(), strict=True)]
    return {
        "name": params.register_.model_name,
        "problem": params.problem,
        "raw_dependencies": "\n".join(f"      - {path}" for path in raw),
        "raw_table": "\n".join(rows),
    }


def _add_lines(path: Path, text: str) -> None:
    """Add patterns to those that are there; all of them where one is missing: order counts."""
    found = path.read_text(encoding="utf-8") if path.exists() else ""
    if not set(text.splitlines()) <= set(found.splitlines()):
        gap = "\n" if found and not found.endswith("\n") else ""
        write_text_atomically(path, f"{found}{gap}{text}")


def _template(name: str) -> Template:
    return Template(_text(name))


def _text(name: str) -> str:
    return (resources.files("flows") / "templates" / name).read_text(encoding="utf-8")


def _next(directory: Path) -> str:
    return f"read its params.yaml, then: cd {shlex.quote(str(directory))} && holdfast train"
