"""The examples: their rows come from the seed alone, and their commands name what exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_steps.problems.catalog import PROBLEMS

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


def test_every_problem_has_an_example() -> None:
    assert set(EXAMPLES) == set(PROBLEMS)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_commands_of_an_example_make_a_workspace_and_prepare_it(
    tmp_path: Path, name: str
) -> None:
    text = (REPOSITORY / "examples" / name / "README.md").read_text(encoding="utf-8")
    block = text.partition("```\n")[2].partition("```")[0].replace("\\\n", " ")
    commands = [line.split() for line in block.splitlines()]
    assert commands[-1] == ["holdfast", "train", "-w", f"tried/{name}"]
    commands[-1][1] = "prepare"
    (tmp_path / "examples").symlink_to(REPOSITORY / "examples")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(REPOSITORY), str(tmp_path)))}
    for command in commands:
        how = {"python": [], "holdfast": ["-c", "from flows.cli import main; main()"]}[command[0]]
        subprocess.run(
            [sys.executable, *how, *command[1:]],
            cwd=tmp_path,
            env=environment,
            check=True,
            capture_output=True,
        )
    assert (tmp_path / "tried" / name / "data/splits/train.parquet").exists()
