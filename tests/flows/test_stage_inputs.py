"""Whether DVC knows what the stage ingest reads: a change that it does not see is never read."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from flows.prepare_data import prepare_data
from flows.stage_inputs import refuse_unconnected
from flows.workspace import Workspace
from pipeline_steps.errors import ConfigurationError


def write_stages(root: Path, *deps: str) -> None:
    stages = {"stages": {"ingest": {"cmd": "x", "deps": list(deps)}}}
    (root / "dvc.yaml").write_text(yaml.safe_dump(stages))


def test_a_workspace_whose_stages_would_not_see_added_rows_is_refused(tmp_path: Path) -> None:
    write_stages(tmp_path, "data/raw/a.csv")
    with pytest.raises(ConfigurationError, match="does not depend on data/additions"):
        refuse_unconnected(tmp_path, ["data/additions"])


def test_a_source_that_dvc_does_not_know_is_refused_with_the_line_to_add(tmp_path: Path) -> None:
    write_stages(tmp_path, "data/raw/train.csv", "data/additions")
    sources = [{"path": "data/raw/train.csv"}, {"path": "data/raw/more.csv", "role": "train"}]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"ingest": {"sources": sources}}))
    with pytest.raises(ConfigurationError, match=r"depend on data/raw/more\.csv\n") as refusal:
        prepare_data(Workspace.open(tmp_path), call=_never)
    assert "stages.ingest.deps: `- data/raw/more.csv`" in refusal.value.fix


def _never(step: object, *_: object) -> object:
    raise AssertionError(f"{step} was called")


@pytest.mark.parametrize(
    ("path", "dep"),
    [
        ("data/raw/a.csv", "data/raw/a.csv"),
        ("./data//raw/a.csv", "data/raw/a.csv"),
        ("data/raw/a.csv", "data/raw/"),
        ("/corpora/a.csv", "/corpora/a.csv"),
    ],
)
def test_a_source_may_be_written_otherwise_or_lie_in_a_known_directory(
    tmp_path: Path, path: str, dep: str
) -> None:
    write_stages(tmp_path, dep)
    refuse_unconnected(tmp_path, [path])


@pytest.mark.parametrize("content", [None, "stages: {ingest: ", "stages: [ingest]", ""])
def test_what_is_wrong_with_the_stages_themselves_is_left_for_dvc_to_say(
    tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "dvc.yaml").write_text(content)
    refuse_unconnected(tmp_path, ["data/raw/a.csv"])
