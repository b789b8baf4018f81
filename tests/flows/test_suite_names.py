"""A suite's name is its own: no report of another kind, and no attack that is asked for, has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from builders import write_examples

from flows.prepare_data import Datasets
from flows.settings import Settings
from flows.stress import count_unchanged, read_behaviour, refuse_unanswerable
from flows.version_files import recorded_attacks
from flows.workspace import Workspace
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.params import parse_params
from pipeline_steps.types import DatasetRef, ValidationReport


def dataset(root: Path, name: str, kind: str = "clean", **columns: Any) -> DatasetRef:
    rows = [{"text": f"card {i}", "label": "ab"[i % 2], **columns} for i in range(4)]
    path = write_examples(root / f"{name}.parquet", rows)
    split = name if name in ("train", "valid", "test") else "test"
    return DatasetRef(name=name, split=split, path=path, digest=name, n_examples=4, kind=kind)


def prepared(root: Path, *suites: DatasetRef, **columns: Any) -> Datasets:
    parts = {name: dataset(root, name, **columns) for name in ("train", "valid", "test")}
    validation = ValidationReport(dataset_digest="d", success=True, n_rows=4, n_kept=4)
    return Datasets(**parts, suites=suites, validation=validation)


def asking(root: Path, problem: str = "text_classification", **sections: Any) -> Workspace:
    values = {"problem": problem, "ingest": {"sources": [{"path": "raw.jsonl"}]}, **sections}
    return Workspace(root, parse_params(values, source="the test"), Settings())


@pytest.mark.parametrize(
    "name", ["behaviour", "calibration", "certified", "embedding_ball", "worst_case", "pruthi"]
)
def test_a_suite_that_is_called_like_another_report_is_refused(tmp_path: Path, name: str) -> None:
    datasets = prepared(tmp_path, dataset(tmp_path, name, "rewritten"))
    with pytest.raises(ConfigurationError, match=f"a suite is called {name}, like another report"):
        refuse_unanswerable(asking(tmp_path, attack={"recipes": ["pruthi"]}), datasets)


def test_the_name_of_an_attack_that_nobody_asks_for_is_free(tmp_path: Path) -> None:
    datasets = prepared(tmp_path, dataset(tmp_path, "pruthi", "noise"))
    refuse_unanswerable(asking(tmp_path, attack={"recipes": ["deepwordbug"]}), datasets)


def test_rows_that_a_rewritten_suite_left_as_they_were_are_counted(tmp_path: Path) -> None:
    same, other = (dataset(tmp_path, name, "rewritten") for name in ("same", "other"))
    write_examples(other.path, [{"text": f"loan {i}" if i else "card 0"} for i in range(4)])
    test = dataset(tmp_path, "test")
    assert count_unchanged(test, [same, other, dataset(tmp_path, "later", "shift")]) == {
        "same": 4, "other": 1,
    }  # fmt: skip


def test_behavioural_tests_ask_what_the_problem_can_answer(tmp_path: Path) -> None:
    target = '{"tokens": ["Ada"], "tags": ["B-per"]}'
    datasets = prepared(tmp_path, target=target)
    declared = {"name": "a", "kind": "minimum_functionality", "texts": ["I met Ada"],
                "entities": {"per": ["Ada"]}}  # fmt: skip
    path = tmp_path / "behaviour.yaml"
    path.write_text(yaml.safe_dump({"tests": [declared]}), encoding="utf-8")
    evaluate = {"behaviour": "behaviour.yaml"}
    found = read_behaviour(asking(tmp_path, "ner", evaluate=evaluate), datasets)
    assert found is not None
    assert found.dataset.n_examples == 1
    with pytest.raises(ConfigurationError, match="response_selection"):
        refuse_unanswerable(asking(tmp_path, "response_selection", evaluate=evaluate), datasets)
    path.write_text(path.read_text().replace("per:", "org:"), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="'org' is no type of entity"):
        refuse_unanswerable(asking(tmp_path, "ner", evaluate=evaluate), datasets)


def test_what_attacks_found_is_read_from_the_record_of_a_version(tmp_path: Path) -> None:
    assert recorded_attacks(tmp_path) is None
    (tmp_path / "report.json").write_text('{"under_attack": null}', encoding="utf-8")
    assert recorded_attacks(tmp_path) is None
    (tmp_path / "report.json").write_text('{"under_attack": {"attacks": []}}', encoding="utf-8")
    found = recorded_attacks(tmp_path)
    assert found is not None
    assert found.attacks == ()
