"""The whole loop under Prefect's harness: verdict, event, automation, flow run, new champion."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from builders import write_jsonl
from tiny_workspaces import change_params, make_workspace, sentiment_rows, shifted_rows
from warm_commands import WarmCommands

from flows.commands.simulate_traffic import Rows, simulate_traffic, stream_of
from flows.monitoring.windows import open_store
from flows.registry_access import open_ledger
from flows.workspace import Workspace
from pipeline_steps.monitoring.tickets import Ticket

NOW = datetime(2026, 10, 1, tzinfo=UTC)
LEARNS = {"epochs": 20, "learning_rate": 1e-2, "batch_tokens": 256, "early_stopping_patience": 20}
LENIENT = {"default_margin": 0.2, "calibration_margin": None}


@pytest.fixture
def drifted(snapshots, holdfast: WarmCommands, tiny_base: Path) -> Workspace:
    """Return a workspace whose champion is wrong about today's traffic, and an open ticket."""

    def make(root: Path) -> None:
        make_workspace(root, tiny_base, rows=sentiment_rows(600))
        monitor = {"labels_at_a_time": 20, "evidently": "off"}
        change_params(root, finetune=LEARNS, gate=LENIENT, monitor=monitor)
        ended = holdfast("train", "--json", cwd=root)
        assert ended.code == 0, ended.stderr

    workspace = Workspace.open(snapshots.restore("drifted", make)[0])
    rows = Rows(write_jsonl(workspace.root.parent / "today.jsonl", shifted_rows(400)))
    simulate_traffic(workspace, stream_of("none", NOW, rows=400), rows, settle=True)
    name = workspace.params.register_.model_name
    ticket = Ticket(
        ticket="drift-0123456789ab", model_name=name, version=1, reference_digest="r",
        alarm_sequence=1, last_sequence=400, opened_at=NOW, changed_at=NOW,
    )  # fmt: skip
    open_store(workspace).put_ticket(ticket)
    return workspace


@pytest.mark.slow
@pytest.mark.timeout(3_000)
def test_what_the_monitor_finds_ends_in_a_new_champion(
    drifted: Workspace, holdfast: WarmCommands
) -> None:
    ended = holdfast(cwd=drifted.root, task="prefect_loop.show_whole_loop")
    assert ended.code == 0, ended.stderr
    asked, confirmed, after = ended.printed["decisions"]
    assert (asked["verdict"], confirmed["verdict"]) == ("WAIT", "RETRAIN")
    [started], [run] = ended.printed["started"], ended.printed["ended"]
    said = {"directory": str(drifted.root), "decision": confirmed["decision_id"]}
    assert started["parameters"] == said
    assert (run["id"], run["state"]) == (started["id"], "COMPLETED")
    name = drifted.params.register_.model_name
    entries = open_ledger(drifted).entries(name)
    order = ["drift_verdict", "retrain_admitted", "champion_moved", "retrain_finished"]
    told = [e for e in entries if e.event in order][-5:]
    assert [e.event for e in told] == [*order, "drift_verdict"]
    assert told[0].evidence["decision_id"] == confirmed["decision_id"]
    assert told[3].evidence["repair"]["verdict"] in ("FIXED", "IMPROVED")
    assert open_ledger(drifted).champion(name) == 2
    assert (after["verdict"], after["version"]) == ("NO_NEW_EVIDENCE", 2)
