"""The raw files that a user names: found, or refused with what lies nearby."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from pipeline_steps.errors import ConfigurationError, DataError

_SHOWN = 8


def named_files(
    files: Mapping[str, Path | None], suites: Sequence[str], reserved: Collection[str] = ()
) -> dict[str, Path]:
    """Return role -> absolute path of each file that was named, ``train`` first.

    Raises
    ------
    ConfigurationError
        If a suite is not ``NAME=FILE``, has a ``reserved`` name, or two have the same name.
    DataError
        If a file does not exist.
    """
    asked = {role: (path, f"--{role} ") for role, path in files.items() if path is not None}
    for suite in suites:
        name, equals, file = suite.partition("=")
        if not (equals and name and file):
            raise ConfigurationError(
                f"--suite {suite!r}", expected="NAME=FILE", fix="write it as --suite later=FILE"
            )
        if name in reserved:
            raise ConfigurationError(
                f"--suite {suite!r}: {name} is the name of a split or of another report",
                expected=f"a name other than {', '.join(reserved)}",
                fix=f"give the suite another name: --suite other={file}",
            )
        if f"suite:{name}" in asked:
            raise ConfigurationError(
                f"two suites are called {name!r}",
                expected="one name for each suite",
                fix="rename one of them",
            )
        asked[f"suite:{name}"] = (Path(file), f"--suite {name}=")
    return {role: _found(path, option) for role, (path, option) in asked.items()}


def _found(path: Path, option: str) -> Path:
    """Return the absolute path of what an option names; refuse what does not exist."""
    absolute = path.expanduser().absolute()
    if absolute.exists():
        return absolute.resolve()
    folder = absolute.parent
    if not folder.is_dir():
        raise DataError(
            f"there is no {path}, nor a directory {folder}",
            expected=f"a file or directory that exists{_beside(path)}",
            fix=f"check the directories in the name: {option}FILE",
        )
    names = sorted(file.name for file in folder.iterdir() if not file.name.startswith("."))
    near = difflib.get_close_matches(absolute.name, names, n=1)
    hint = f"; did you mean {path.with_name(near[0])}?" if near else ""
    raise DataError(
        f"there is no {path}{hint}",
        expected=f"a file or directory that exists{_beside(path)}; {folder} has {_listed(names)}",
        fix=f"{option}{path.with_name(near[0]) if near else 'FILE, as it is really called'}",
    )


def _beside(path: Path) -> str:
    """Return where a relative name is looked for."""
    relative = not path.expanduser().is_absolute()
    return f" (relative to the current directory, {Path.cwd()})" if relative else ""


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "nothing in it"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
