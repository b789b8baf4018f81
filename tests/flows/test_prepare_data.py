"""The bridge to DVC: references carry what dvc.lock records, and nothing else is trusted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows.prepare_data import dvc_directory_digest
from pipeline_steps.digests import file_digest


def dvc(root: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-P", "-m", "dvc", *arguments, "-q"], cwd=root, check=True)


@pytest.mark.parametrize("names", [["b.parquet", "a.json"], ["x/y.txt", "x/a.txt", "é.txt"]])
def test_directory_digest_is_the_one_that_dvc_records(tmp_path: Path, names: list[str]) -> None:
    directory = tmp_path / "out"
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(name, encoding="utf-8")
    dvc(tmp_path, "init", "--no-scm")
    dvc(tmp_path, "add", "out")
    recorded = yaml.safe_load((tmp_path / "out.dvc").read_text())["outs"][0]["md5"]
    digests = {name: file_digest(directory / name, "md5") for name in names}
    assert dvc_directory_digest(digests) == recorded
