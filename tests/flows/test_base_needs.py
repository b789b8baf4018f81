"""A base model that does not fit the problem is refused before the data are prepared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from tiny_models import save_tiny_model
from tiny_writers import save_tiny_writer

from flows.base_needs import refuse_unfit_base
from flows.commands.doctor_workspace import base_model
from flows.commands.tune import run_tune
from flows.pipeline import call_directly
from flows.train import train
from flows.workspace import Workspace
from pipeline_steps.errors import CheckpointError


def workspace(root: Path, problem: str, base: Path | str) -> Workspace:
    """Return a workspace without data, of which a stage would complain."""
    values = {
        "problem": problem,
        "ingest": {"sources": [{"path": "none.jsonl"}]},
        "finetune": {"base_model": str(base)},
    }
    (root / "params.yaml").write_text(yaml.safe_dump(values))
    return Workspace.open(root)


def test_an_encoder_that_is_to_write_is_refused_before_any_data_are_read(tmp_path: Path) -> None:
    opened = workspace(tmp_path, "translation", save_tiny_model(tmp_path / "base"))
    with pytest.raises(CheckpointError, match=r"an encoder \(bert\), which cannot write"):
        train(opened)
    with pytest.raises(CheckpointError, match=r"an encoder \(bert\), which cannot write"):
        run_tune(opened, call=call_directly)
    (found,) = base_model(tmp_path)
    assert (found.status, "cannot write" in found.found) == ("problem", True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "params.yaml"]


def test_a_base_that_is_nowhere_is_refused_where_texts_are_written(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="neither a directory nor to be had from the hub"):
        refuse_unfit_base(workspace(tmp_path, "summarisation", "no such model").params)


@pytest.mark.parametrize("architecture", ["t5", "gpt2"])
def test_a_base_that_writes_is_no_trouble(architecture: str, tmp_path: Path) -> None:
    base = save_tiny_writer(tmp_path / "base", architecture)
    refuse_unfit_base(workspace(tmp_path, "dialogue", base).params)


def test_an_encoder_is_no_trouble_where_nothing_is_written(tmp_path: Path) -> None:
    refuse_unfit_base(workspace(tmp_path, "ner", save_tiny_model(tmp_path / "base")).params)


@pytest.mark.parametrize("content", [None, "{", json.dumps({"is_encoder_decoder": True})])
def test_what_is_torn_is_left_to_those_who_read_all_of_it(content, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    if content is not None:
        (tmp_path / "base/config.json").write_text(content)
    refuse_unfit_base(workspace(tmp_path, "translation", tmp_path / "base").params)
