"""The examples: their rows come from the seed alone, and their commands name what exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path.parent.name for path in (REPOSITORY / "examples").glob("*/make_rows.py"))


def written(name: str, directory: Path, seed: int) -> dict[str, bytes]:
    command = [sys.executable, "-m", f"examples.{name}.make_rows", str(directory)]
    subprocess.run([*command, "--seed", str(seed)], cwd=REPOSITORY, check=True, capture_output=True)
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize("name", EXAMPLES)
def test_rows_are_decided_by_the_seed(tmp_path: Path, name: str) -> None:
    first, again, other = (written(name, tmp_path / str(i), i // 2) for i in range(3))
    assert first == again
    assert first != other


@pytest.mark.parametrize("name", EXAMPLES)
def test_commands_name_files_that_exist(name: str) -> None:
    text = (REPOSITORY / "examples" / name / "README.md").read_text(encoding="utf-8")
    modules = [m.replace(".", "/") + ".py" for m in re.findall(r"python -m (examples[\w.]+)", text)]
    named = [*modules, *re.findall(r"\bexamples/\w+/\w+\.yaml", text)]
    assert named
    assert [path for path in named if not (REPOSITORY / path).is_file()] == []
