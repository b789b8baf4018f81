"""Behavioural tests, suites out of scope and churn on their way through ``holdfast train``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders import write_jsonl
from tiny_workspaces import change_params, sentiment_rows
from warm_commands import WarmCommands

from flows.commands.init import init_workspace

Trained = tuple[Path, dict[str, Any]]
WITHOUT_DVC = {"skip": ["reproduce_data"]}
GOOD = {"name": "good", "kind": "minimum_functionality", "texts": ["good"], "label": "plus"}


def train(holdfast: WarmCommands, root: Path, **settings: Any) -> dict[str, Any]:
    ended = holdfast("train", "--json", cwd=root, **settings)
    assert ended.code == 0, ended.stderr
    return dict(ended.printed)


def declare(root: Path, *tests: dict[str, Any]) -> None:
    (root / "data/behaviour.yaml").write_text(yaml.safe_dump({"tests": list(tests)}))
    change_params(root, evaluate={"behaviour": "data/behaviour.yaml"})


def weights(root: Path) -> dict[str, int]:
    files = (root / ".holdfast/checkpoints").glob("*/model.safetensors")
    return {path.parent.name: path.stat().st_mtime_ns for path in files}


def test_the_report_shows_sureness_and_what_noise_costs(trained: Trained) -> None:
    _, result = trained
    assert {"test/aurc", "test/ece_scaled", "typos/accuracy_gap", "calibration/temperature"} <= set(
        result["metrics"]
    )
    page = Path(result["report"]).read_text(encoding="utf-8")
    for said in ("Can its sureness be trusted", "What is lost outside the clean rows",
                 "Subpopulations by text"):  # fmt: skip
        assert said in page


def test_behavioural_tests_are_asked_without_training_anew(
    holdfast: WarmCommands, trained: Trained
) -> None:
    root, first = trained
    before = weights(root)
    declare(root, GOOD)
    second = train(holdfast, root, **WITHOUT_DVC)
    assert second["metrics"]["behaviour/failure_rate"]["n"] == 1
    assert second["metrics"]["test/accuracy"] == first["metrics"]["test/accuracy"]
    assert "Behavioural tests" in Path(second["report"]).read_text(encoding="utf-8")
    declare(root, GOOD, {**GOOD, "name": "bad", "texts": ["bad"], "label": "minus"})
    third = train(holdfast, root, **WITHOUT_DVC)
    assert third["metrics"]["behaviour/failure_rate"]["n"] == 2
    assert len({run["fingerprint"] for run in (first, second, third)}) == 3
    assert weights(root) == before
    assert third["verdict"] == "HOLD"  # the same checkpoint as the champion
    again = train(holdfast, root, **WITHOUT_DVC)
    assert again["reused"]


def test_wrong_behavioural_tests_are_refused_before_training(
    holdfast: WarmCommands, prepared: Path
) -> None:
    declare(prepared, {**GOOD, "label": "pluss"})
    ended = holdfast("train", cwd=prepared, **WITHOUT_DVC)
    assert ended.code == 2
    assert "'pluss' is no label of the train rows" in ended.stderr
    assert not weights(prepared)


@pytest.mark.slow
def test_rows_out_of_scope_are_detected_and_not_counted_as_wrong(
    holdfast: WarmCommands, tiny_base: Path, tmp_path: Path
) -> None:
    """The next version is compared with the champion on every suite but that one."""
    foreign = [{"text": f"zzz {i} qqq", "label": "foreign"} for i in range(30)]
    files = {"train": write_jsonl(tmp_path / "train.jsonl", sentiment_rows())}
    suite = write_jsonl(tmp_path / "foreign.jsonl", foreign)
    root = tmp_path / "workspace"
    init_workspace(root, problem="text_classification", files=files, suites=[f"foreign={suite}"])
    text = (root / "params.yaml").read_text().replace("suite:foreign", "out_of_scope:foreign")
    (root / "params.yaml").write_text(text)
    change_params(root, finetune={"base_model": str(tiny_base), "epochs": 1, "max_length": 32})
    change_params(root, evaluate={"bootstrap_resamples": 50})
    floors = {"test/accuracy": 0.1, "foreign/auroc_energy": 0.0}
    change_params(root, gate={"floors": floors, "min_rows": 20})
    first = train(holdfast, root)
    assert "foreign/accuracy" not in first["metrics"]
    assert first["metrics"]["foreign/auroc_energy"]["n"] == 30
    change_params(root, finetune={"seed": 1})
    second = train(holdfast, root, **WITHOUT_DVC)
    assert second["version"] == 2
    page = Path(second["report"]).read_text(encoding="utf-8")
    assert "Rows out of scope" in page
    assert "What changes against the champion" in page
    evaluation = Path(second["report"]).with_name("evaluation.json").read_text()
    kinds = {report["suite"]: report["kind"] for report in json.loads(evaluation)}
    assert kinds["foreign"] == "out_of_scope"
