"""``holdfast traffic``: the log as a file, and what it is told to forget."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from builders import rows, write_jsonl
from typer.testing import CliRunner

from flows.cli import app
from flows.commands.init import init_workspace
from flows.commands.traffic import moment_before
from flows.serving import open_shadow_log, open_traffic_log
from flows.workspace import Workspace
from pipeline_steps.errors import UsageError
from pipeline_steps.traffic_rows import LateLabel, LoggedPrediction

NOW = datetime.now(UTC)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Return a workspace with three logged rows, and the same in the shadow."""
    train = write_jsonl(tmp_path / "train.jsonl", rows(40))
    init_workspace(tmp_path / "ws", problem="text_classification", files={"train": train})
    made = Workspace.open(tmp_path / "ws")
    for log in (open_traffic_log(made), open_shadow_log(made)):
        log.append(
            LoggedPrediction(
                prediction_id=f"p{days}", request_id="r", created_at=NOW - timedelta(days=days),
                model_name="m", version=1, example={"text": "a"}, output={"label": "x"},
            )
            for days in (200, 40, 1)
        )  # fmt: skip
    open_traffic_log(made).add_labels(
        [LateLabel(prediction_id="p40", label="y", labelled_at=NOW, source="desk")]
    )
    return made


def run(workspace: Workspace, *arguments: str) -> str:
    command = ["traffic", *arguments, "-w", str(workspace.root)]
    return CliRunner().invoke(app, command, catch_exceptions=False).output


def test_the_log_is_written_as_one_file_and_so_is_the_challengers(
    workspace: Workspace, tmp_path: Path
) -> None:
    file = tmp_path / "traffic.parquet"
    assert run(workspace, "export", str(file)) == f"3 rows: {file}\n"
    table = pq.read_table(file)
    assert table["prediction_id"].to_pylist() == ["p200", "p40", "p1"]
    assert table["label"].to_pylist() == [None, '"y"', None]
    assert json.loads(run(workspace, "export", str(file), "--shadow", "--json")) == {"n_rows": 3}
    assert pq.read_table(file)["label"].to_pylist() == [None] * 3


def test_what_is_older_is_forgotten_and_the_parameters_say_how_old(workspace: Workspace) -> None:
    assert run(workspace, "forget").startswith("1 row from before ")  # serve.retention_days: 90
    found = json.loads(run(workspace, "forget", "--days", "30", "--json"))
    assert (found["n_rows"], found["n_shadow_rows"]) == (1, 1)
    before = (NOW - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S")
    assert "1 of the challenger" in run(workspace, "forget", "--before", before)
    assert [log.count() for log in (open_traffic_log(workspace), open_shadow_log(workspace))] == [
        0, 0,
    ]  # fmt: skip


def test_an_age_is_given_once_or_stands_in_the_parameters(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="both --days and --before"):
        moment_before(workspace, 3.0, NOW)
    for_ever = workspace.params.serve.model_copy(update={"retention_days": None})
    kept = Workspace(
        workspace.root,
        workspace.params.model_copy(update={"serve": for_ever}),
        workspace.settings,
    )
    with pytest.raises(UsageError, match=r"serve\.retention_days is null"):
        moment_before(kept, None, None)
    assert moment_before(kept, None, datetime(2026, 1, 1)) == datetime(2026, 1, 1, tzinfo=UTC)  # noqa: DTZ001 - as the option is read
