"""What attacks need beside parameters, refused before a training; and the rows that they take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from builders import write_examples
from tiny_models import save_tiny_model

from flows.attack_needs import refuse_unattackable
from flows.evaluation_sets import _attacked_rows
from flows.prepare_data import Datasets
from flows.settings import Settings
from flows.training_plan import plan_training
from flows.workspace import Workspace
from pipeline_steps.errors import CheckpointError, ConfigurationError, MissingDependencyError
from pipeline_steps.noise.resources import Resource
from pipeline_steps.params import parse_params
from pipeline_steps.registry.row_sketch import sketch_rows
from pipeline_steps.types import DatasetRef, ValidationReport

LABELS = ("minus", "plus")


def prepared(root: Path, n: int = 6) -> Datasets:
    """Return datasets of n rows each, half of them of either label."""
    rows = [{"text": f"card {i}", "label": LABELS[i % 2]} for i in range(n)]
    path = write_examples(root / "rows.parquet", rows)
    refs = {
        name: DatasetRef(name=name, split=name, path=path, digest=name, n_examples=n)
        for name in ("train", "valid", "test")
    }
    validation = ValidationReport(dataset_digest="d", success=True, n_rows=n, n_kept=n)
    return Datasets(**refs, suites=(), validation=validation)


def attacking(root: Path, *recipes: str, base: str | None = None, **attack: Any) -> Workspace:
    values: dict[str, Any] = {
        "ingest": {"sources": [{"path": "raw.jsonl"}]},
        "attack": {"recipes": list(recipes), **attack},
        "finetune": {} if base is None else {"base_model": base},
    }
    return Workspace(root, parse_params(values, source="the test"), Settings())


def test_a_target_that_is_no_label_of_the_training_rows_is_refused(tmp_path: Path) -> None:
    asked = attacking(tmp_path, "deepwordbug", target="plsu")
    with pytest.raises(ConfigurationError, match="'plsu', which is no label"):
        plan_training(asked, prepared(tmp_path))
    refuse_unattackable(attacking(tmp_path, "deepwordbug", target="plus"), prepared(tmp_path))
    refuse_unattackable(attacking(tmp_path, target="plsu"), prepared(tmp_path))  # nothing attacks


@pytest.mark.parametrize(("n", "target"), [(6, None), (3, "plus")])
def test_a_trigger_needs_rows_that_are_neither_attacked_nor_at_the_target(
    tmp_path: Path, n: int, target: str | None
) -> None:
    datasets = prepared(tmp_path)
    asked = attacking(tmp_path, "universal_trigger", n_examples=n, target=target)
    with pytest.raises(ConfigurationError, match="rows that are not attacked: there are none"):
        refuse_unattackable(asked, datasets)
    fewer = attacking(tmp_path, "universal_trigger", n_examples=n - 1, target=target)
    refuse_unattackable(fewer, datasets)


def test_words_of_a_masked_model_need_a_base_with_its_head(tmp_path: Path) -> None:
    base = str(save_tiny_model(tmp_path / "base"))
    with pytest.raises(CheckpointError, match="has no masked-language head"):
        refuse_unattackable(attacking(tmp_path, "bae", base=base), prepared(tmp_path))


def test_lookalikes_need_the_list_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Resource("absent-list", "absent_list", "list.json", "none")
    monkeypatch.setattr("flows.attack_needs.CONFUSABLES", absent)
    with pytest.raises(MissingDependencyError, match="absent-list, which is not installed"):
        refuse_unattackable(attacking(tmp_path, "homoglyph"), prepared(tmp_path))


def test_the_rows_of_an_attack_that_wants_a_label_are_those_of_the_other_ones(
    tmp_path: Path,
) -> None:
    asked = attacking(tmp_path, "pruthi", n_examples=6, target="plus")
    others = [json.dumps([f"card {i}", None, None]) for i in (0, 2, 4)]
    assert _attacked_rows(asked, prepared(tmp_path)) == sketch_rows(others)
