"""Files appear whole or not at all, whatever ends the writer: an error, a kill, a full disk."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_steps.files import (
    atomic_directory,
    atomic_file,
    remove_partial_files,
    write_text_atomically,
)

OLD, NEW = "old" * 1000, "new" * 1000


def python(code: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_new_content_replaces_the_old(tmp_path: Path) -> None:
    write_text_atomically(tmp_path / "a", OLD)
    write_text_atomically(tmp_path / "a", "ü")
    assert (tmp_path / "a").read_bytes() == "ü".encode()
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_missing_parents_are_made(tmp_path: Path) -> None:
    write_text_atomically(tmp_path / "b" / "c" / "a", NEW)
    assert (tmp_path / "b/c/a").read_text() == NEW


def fail_in_the_middle(target: Path) -> None:
    with atomic_file(target) as temporary:
        temporary.write_text("half")
        raise ValueError("stop")


def fail_in_a_directory(target: Path) -> None:
    with atomic_directory(target) as temporary:
        (temporary / "half").write_text("half")
        raise ValueError("stop")


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(OLD)
    with pytest.raises(ValueError, match="stop"):
        fail_in_the_middle(tmp_path / "a")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a", OLD)]


def test_an_error_leaves_the_old_directory_and_nothing_else(tmp_path: Path) -> None:
    with atomic_directory(tmp_path / "d") as temporary:
        (temporary / "x").write_text(OLD)
    with pytest.raises(ValueError, match="stop"):
        fail_in_a_directory(tmp_path / "d")
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")] == ["d", "d/x"]


def test_a_directory_replaces_the_old_one_whole(tmp_path: Path) -> None:
    for name in ("first", "second"):
        with atomic_directory(tmp_path / "d") as temporary:
            (temporary / name).write_text(NEW)
    assert [p.name for p in (tmp_path / "d").iterdir()] == ["second"]


@pytest.mark.parametrize("kind", ["atomic_file", "atomic_directory"])
def test_a_writer_killed_in_the_middle_leaves_the_old_and_its_partial_can_be_cleared(
    tmp_path: Path, kind: str
) -> None:
    target = tmp_path / "a"
    if kind == "atomic_directory":
        target.mkdir()
        (target / "x").write_text(OLD)
        old, new = target / "x", "(t / 'x')"
    else:
        target.write_text(OLD)
        old, new = target, "t"
    killed = python(
        "import os, signal, sys; from pathlib import Path; from pipeline_steps import files\n"
        f"with files.{kind}(Path(sys.argv[1])) as t:\n"
        f"    {new}.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n",
        target,
    )
    assert killed.returncode == -signal.SIGKILL
    assert old.read_text() == OLD
    assert remove_partial_files(tmp_path) == 1
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """A limit on file size stands for the full disk: the write fails half-way."""
    (tmp_path / "a").write_text(OLD)
    full = python(
        "import resource, signal, sys; from pathlib import Path; from pipeline_steps import files\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "files.write_text_atomically(Path(sys.argv[1]), 'x' * 100_000)\n",
        tmp_path / "a",
    )
    assert "OSError: [Errno 27]" in full.stderr
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a", OLD)]


def test_two_writers_of_one_file_leave_one_whole_content(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pipeline_steps import files\n"
        "for _ in range(200):\n"
        "    files.write_text_atomically(Path(sys.argv[1]), sys.argv[2] * 1000)\n"
    )
    target = tmp_path / "a"
    children = [
        subprocess.Popen([sys.executable, "-c", code, str(target), word]) for word in ("old", "new")
    ]
    assert [child.wait() for child in children] == [0, 0]
    assert target.read_text() in (OLD, NEW)
    assert list(tmp_path.iterdir()) == [target]


def test_only_leftovers_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".hidden").write_text("mine")
    (tmp_path / "a.partial").write_text("mine")
    (tmp_path / ".a.12345678.partial").write_text("left by a kill")
    assert remove_partial_files(tmp_path) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == [".hidden", "a.partial"]
