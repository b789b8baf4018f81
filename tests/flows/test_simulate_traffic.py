"""``holdfast simulate-traffic`` into the traffic log and at a running service."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from builders import write_jsonl
from served_workspaces import add_version, make_checkpoint, make_served_workspace, served
from tiny_workspaces import sentiment_rows

from flows.commands.simulate_traffic import Rows, describe, simulate_traffic, stream_of
from flows.workspace import Workspace
from pipeline_steps.errors import ConfigurationError, UsageError
from pipeline_steps.monitoring.traffic import TrafficLog

START = datetime(2026, 10, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Workspace:
    found = make_served_workspace(tmp_path_factory.mktemp("simulated") / "desk")
    add_version(found, make_checkpoint(found.state / "checkpoints", seed=0))
    return found


@pytest.fixture
def workspace(desk: Workspace, tmp_path: Path, monkeypatch) -> Workspace:
    """Return the desk with a traffic log that this test alone writes to."""
    monkeypatch.setenv("HOLDFAST_TRAFFIC_URL", f"sqlite:///{tmp_path / 'traffic.db'}")
    return Workspace.open(desk.root)


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    return Rows(write_jsonl(tmp_path / "old.jsonl", sentiment_rows(60, seed=5)))


def test_rows_and_late_labels_are_in_the_log_under_their_synthetic_times(
    workspace: Workspace, rows: Rows
) -> None:
    stream = stream_of("harmless", START, rows=100, days=10.0, label_share=0.5)
    played = simulate_traffic(workspace, stream, rows)
    log = TrafficLog(workspace.traffic_url)
    found = log.read()
    assert (played.n_rows, len(found), played.n_shifted) == (100, 100, 50)
    assert found[0].prediction.created_at == START
    assert (found[-1].prediction.created_at - START).days == 10
    labelled = [row.label for row in found if row.label is not None]
    assert len(labelled) == played.n_labels
    assert played.n_labels + played.n_labels_to_come < 70
    assert all(label.labelled_at > START for label in labelled)
    assert found[-1].prediction.example["text"].startswith("hi, ")
    assert "100 rows" in describe(played)
    assert "in the log before" not in describe(played)

    settled = simulate_traffic(workspace, stream, rows, settle=True)
    assert settled.n_labels_to_come == 0
    assert log.count() == 100, "the same stream again adds no row"
    assert (settled.n_known, settled.n_labels_known) == (100, played.n_labels)
    assert "; 100 were in the log before" in describe(settled)
    assert sum(row.label is not None for row in log.read()) == settled.n_labels


def test_a_running_service_answers_the_rows_and_takes_the_labels(
    workspace: Workspace, rows: Rows
) -> None:
    stream = stream_of("none", START, rows=80, seed=1)
    with served(workspace) as (_, address):
        played = simulate_traffic(workspace, stream, rows, url=address, settle=True)
    found = TrafficLog(workspace.traffic_url).read()
    assert len(found) == played.n_rows == 80
    assert sum(row.label is not None for row in found) == played.n_labels == 80


def test_what_cannot_be_played_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--drift sideways"):
        stream_of("sideways", START)
    with pytest.raises(UsageError, match="--start, --label-share for rows as recorded"):
        stream_of("recorded", START, label_share=0.5)
    with pytest.raises(ConfigurationError, match="there is no"):
        simulate_traffic(workspace, None, Rows())
    undated = Rows(write_jsonl(tmp_path / "undated.jsonl", sentiment_rows(5)))
    with pytest.raises(ConfigurationError, match="rows as recorded need a time each"):
        simulate_traffic(workspace, None, undated)
