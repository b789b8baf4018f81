"""What a model will be able to answer, where the rows to learn from do not hold all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from builders import write_examples
from registry_builders import make_checkpoint

from flows.answerable import answerable
from flows.attack_needs import refuse_unattackable
from flows.prepare_data import Datasets
from flows.settings import Settings
from flows.stress import refuse_unanswerable
from flows.workspace import Workspace
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.params import parse_params
from pipeline_steps.types import DatasetRef, ValidationReport


def rows(path: Path, *labels: str) -> Path:
    return write_examples(path, [{"text": f"card {i}", "label": x} for i, x in enumerate(labels)])


@pytest.fixture
def new_rows(tmp_path: Path) -> Datasets:
    """Return datasets of rows that came lately, among which two labels are."""
    path = rows(tmp_path / "new.parquet", "minus", "plus")
    refs = {
        name: DatasetRef(name=name, split=name, path=path, digest=name, n_examples=2)
        for name in ("train", "valid", "test")
    }
    validation = ValidationReport(dataset_digest="d", success=True, n_rows=2, n_kept=2)
    return Datasets(**refs, suites=(), validation=validation)


def going_on(root: Path, *earlier: str, target: str | None = None) -> Workspace:
    """Return a workspace that learns new rows while earlier ones come again, with a test of rest."""
    test = {"name": "t", "kind": "minimum_functionality", "texts": ["card"], "label": "rest"}
    (root / "behaviour.yaml").write_text(yaml.safe_dump({"tests": [test]}))
    replay = {"examples": str(root / "earlier.parquet")}
    if earlier:
        rows(root / "earlier.parquet", *earlier)
    values: dict[str, Any] = {
        "ingest": {"sources": [{"path": "raw.jsonl"}]},
        "evaluate": {"behaviour": "behaviour.yaml"},
        "attack": {"recipes": ["deepwordbug"], "target": target},
        "finetune": {"objective": {"replay": replay}},
    }
    return Workspace(root, parse_params(values, source="the test"), Settings())


def test_a_label_of_the_earlier_rows_alone_can_be_tested_and_aimed_at(
    tmp_path: Path, new_rows: Datasets
) -> None:
    workspace = going_on(tmp_path, "rest", "plus", target="rest")
    assert answerable(workspace, new_rows) == {"minus", "plus", "rest"}
    refuse_unanswerable(workspace, new_rows)
    refuse_unattackable(workspace, new_rows)


def test_labels_of_an_old_model_whose_answers_are_kept_count_too(
    tmp_path: Path, new_rows: Datasets
) -> None:
    section = {"checkpoint": str(make_checkpoint(tmp_path / "old", 0).path)}
    for objective in ({"lwf": section}, {"ewc": {**section, "examples": "earlier.parquet"}}):
        values = {
            "ingest": {"sources": [{"path": "raw.jsonl"}]}, "finetune": {"objective": objective}
        }  # fmt: skip
        workspace = Workspace(tmp_path, parse_params(values, source="the test"), Settings())
        assert answerable(workspace, new_rows) == {"minus", "plus", "a", "b"}


@pytest.mark.parametrize("earlier", [("plus",), ()])
def test_a_label_of_no_row_at_all_is_refused(
    tmp_path: Path, new_rows: Datasets, earlier: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigurationError, match="'rest' is no label of the train rows"):
        refuse_unanswerable(going_on(tmp_path, *earlier), new_rows)
