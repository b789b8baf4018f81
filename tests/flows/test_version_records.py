"""The record of a version: its card, its environment, its cost; reproduced and compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_workspaces import change_params
from warm_commands import WarmCommands

Trained = tuple[Path, dict[str, Any]]


def test_a_card_says_what_was_measured_and_what_was_not(trained: Trained) -> None:
    root, result = trained
    directory = Path(result["report"]).parent
    card = (directory / "model_card.md").read_text()
    accuracy = result["metrics"]["test/accuracy"]
    assert "{value:.3f} [{ci_low:.3f}, {ci_high:.3f}]".format(**accuracy) in card
    assert "* Licence: not stated (`register.licence`)" in card
    assert "* not measured: another training seed" in card
    assert "holdfast reproduce 1" in card
    packages = (directory / "environment.txt").read_text().splitlines()
    assert {line.partition("==")[0] for line in packages} >= {"torch", "mlflow", "transformers"}
    assert yaml.safe_load((directory / "params.yaml").read_text())["finetune"]["epochs"] == 2
    [cost] = (root / ".holdfast/costs").glob("*.json")
    measured = json.loads(cost.read_text())
    assert measured["parts"] == 1
    assert measured["cpu_seconds"] > 0
    assert f"| cpu seconds | {measured['cpu_seconds']:g} |" in card


def test_a_version_is_reproduced_to_the_bit(holdfast: WarmCommands, trained: Trained) -> None:
    root, result = trained
    ended = holdfast("reproduce", "1", "--json", cwd=root, skip=["reproduce_data"])
    assert ended.code == 0, ended.stderr
    found = ended.printed
    assert (found["identical"], found["same_answers"], found["changed_libraries"]) == (
        True, True, {},
    )  # fmt: skip
    scores = {suite["suite"]: suite["reproduced"] for suite in found["suites"]}
    assert scores == {
        suite: result["metrics"][f"{suite}/accuracy"]["value"] for suite in ("test", "typos")
    }
    assert holdfast.records(root)["aliases"] == {"champion": 1}


@pytest.mark.slow
def test_other_rows_reproduce_nothing(holdfast: WarmCommands, trained: Trained) -> None:
    root, _ = trained
    change_params(root, split={"seed": 7})
    ended = holdfast("reproduce", "1", cwd=root)
    assert ended.code == 2
    assert "version 1 learnt from" in ended.stderr
    assert "holdfast reproduce 1" in ended.stderr


@pytest.mark.slow
def test_two_versions_are_compared_in_one_file(
    holdfast: WarmCommands, waiting: Path, tmp_path: Path
) -> None:
    ended = holdfast(
        "report", "--compare", "1", "2", "--output", str(tmp_path / "c.html"), cwd=waiting
    )
    assert (ended.code, ended.stdout) == (0, f"{tmp_path / 'c.html'}\n")
    page = (tmp_path / "c.html").read_text()
    assert "version 1 beside version 2" in page
    assert "champion from 2" in page
    assert "It never was champion." in page
    assert "rows only version 2 answers rightly" in page
    assert '<td class="wide">learning_rate</td>' in page
    assert "http" not in page.replace("http-equiv", "")
    data = json.loads((tmp_path / "c.json").read_text())
    assert [data[which]["version"] for which in ("first", "second")] == [1, 2]
    assert data["second"]["decision"]["verdict"] == "PROMOTE"
    [on_test] = [pair for pair in data["paired"] if pair["suite"] == "test"]
    assert on_test["differences"][0]["difference"] > 0.2


def test_a_comparison_does_not_overwrite_its_page_with_its_data(
    holdfast: WarmCommands, trained: Trained
) -> None:
    refused = holdfast("report", "--compare", "1", "1", "--output", "c.json", cwd=trained[0])
    assert refused.code == 2
    assert "holdfast report --compare A B --output c.html" in refused.stderr
