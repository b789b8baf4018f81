"""Predictions are found again only where nothing that decides them has changed."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

import flows
from flows.attack_code import WIRING, attacking_code
from flows.settings import Settings
from flows.workspace import Workspace
from pipeline_steps.params import parse_params
from pipeline_steps.types import DatasetRef


def path(root: Path, checkpoint: str = "c" * 64, digest: str = "d" * 32, **predict: Any) -> Path:
    values = {"ingest": {"sources": [{"path": "raw.jsonl"}]}, "predict": predict}
    rows = DatasetRef(name="test", split="test", path=root / "t", digest=digest, n_examples=1)
    workspace = Workspace(root, parse_params(values, source="the test"), Settings())
    return workspace.predictions_path(checkpoint, rows)


def test_the_same_content_and_parameters_name_the_same_file(tmp_path: Path) -> None:
    assert path(tmp_path) == path(tmp_path)


def test_another_precision_checkpoint_or_dataset_names_another_file(tmp_path: Path) -> None:
    """Logits in bf16 are not those in fp32, whatever the checkpoint's digest says."""
    others = {
        path(tmp_path, precision="bf16"),
        path(tmp_path, checkpoint="e" * 64),
        path(tmp_path, digest="f" * 32),
    }
    assert len(others | {path(tmp_path)}) == 4


def imported_flows(module: str) -> set[str]:
    """Return the modules of the wiring that a module imports, wherever in it."""
    source = (Path(flows.__file__).parent / f"{module}.py").read_text(encoding="utf-8")
    found = [
        node.module or "" for node in ast.walk(ast.parse(source)) if type(node) is ast.ImportFrom
    ]
    return {name.removeprefix("flows.") for name in found if name.startswith("flows.")}


def test_every_module_that_an_attack_runs_on_decides_what_of_it_is_kept() -> None:
    known, waiting = {"arena"}, ["arena"]
    while waiting:
        new = imported_flows(waiting.pop()) - known
        known |= new
        waiting += new
    assert known - {"attack_code"} <= set(WIRING)


def test_with_another_list_of_words_attacks_are_run_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    before = attacking_code()
    assert attacking_code() == before
    monkeypatch.setattr("flows.attack_code.has_wordnet", lambda: "another answer")
    assert attacking_code() != before
