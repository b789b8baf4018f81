"""What may ask for a retrain: tickets, decisions, files, schedules; what was lost is found again."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.commands.retrain import run_retrain
from flows.monitoring.windows import open_store
from flows.pipeline import call_directly
from flows.registry_access import open_ledger
from flows.retrain import retrain
from flows.retraining.dataset_version import file_rows, fresh_rows
from flows.retraining.traffic_rows import raw_fields
from flows.retraining.triggers import Trigger, drift_trigger, interrupted, never_run, trigger_id
from flows.workspace import Workspace, locked, watching
from pipeline_steps.data_params import ColumnsParams
from pipeline_steps.errors import (
    BusyError,
    ConfigurationError,
    DataError,
    HoldfastError,
    UsageError,
)
from pipeline_steps.monitoring.tickets import Ticket
from pipeline_steps.traffic_rows import LateLabel, LoggedPrediction, TrafficRow

NOW = datetime(2026, 10, 1, tzinfo=UTC)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Return a workspace whose ledger names version 1 champion, and nothing else."""
    content = {"ingest": {"sources": [{"path": "data/raw/a.csv"}]}, "register": {"model_name": "m"}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    found = Workspace.open(tmp_path)
    open_ledger(found).move_champion("m", expected=None, new=1, actor="a", reason="r", evidence={})
    return found


def write(workspace: Workspace, event: str, **evidence: Any) -> None:
    open_ledger(workspace).append(event, model_name="m", actor="a", reason="r", evidence=evidence)


def verdict(workspace: Workspace, ticket: str, *, said: str = "RETRAIN", version: int = 1) -> None:
    write(workspace, "drift_verdict", ticket=ticket, verdict=said, version=version,
          decision_id=f"decision-{ticket}")  # fmt: skip


def test_a_verdict_whose_event_was_lost_is_found_by_the_sweep(workspace: Workspace) -> None:
    verdict(workspace, "drift-1")
    verdict(workspace, "drift-2", said="WAIT")
    verdict(workspace, "drift-3", version=7)
    assert never_run(workspace) == [Trigger(kind="drift", ticket="drift-1")]
    admitted = {"trigger": "retrain-1", "kind": "drift", "ticket": "drift-1", "labelled": None}
    write(workspace, "retrain_admitted", **admitted)
    assert never_run(workspace) == []
    [found] = interrupted(workspace)
    assert (found.name, found.ticket) == ("retrain-1", "drift-1")
    write(workspace, "retrain_failed", trigger="retrain-1")
    assert never_run(workspace) == [Trigger(kind="drift", ticket="drift-1")]
    assert interrupted(workspace) == []
    write(workspace, "retrain_admitted", **admitted)
    write(workspace, "retrain_finished", trigger="retrain-1")
    assert never_run(workspace) == interrupted(workspace) == []


def test_a_second_verdict_whose_event_was_lost_is_found_too(workspace: Workspace) -> None:
    verdict(workspace, "drift-1")
    in_vain(workspace, "retrain-1")
    assert never_run(workspace) == []
    verdict(workspace, "drift-1")
    assert never_run(workspace) == [Trigger(kind="drift", ticket="drift-1")]
    in_vain(workspace, "retrain-2")
    assert never_run(workspace) == []


def test_a_ticket_whose_harm_was_taken_back_is_not_swept(workspace: Workspace) -> None:
    verdict(workspace, "drift-1")
    put_ticket(workspace, "drift-1", "benign")
    assert never_run(workspace) == []
    put_ticket(workspace, "drift-1", "harm")
    assert never_run(workspace) == [Trigger(kind="drift", ticket="drift-1")]


def test_a_superseded_ticket_without_confirmed_harm_is_not_retrained_on(
    workspace: Workspace,
) -> None:
    put_ticket(workspace, "drift-1", "superseded")
    verdict(workspace, "drift-1")
    assert never_run(workspace) == []
    with pytest.raises(ConfigurationError, match="no harm of it is confirmed"):
        run_retrain(workspace, trigger="drift-1", call=call_directly)


def put_ticket(workspace: Workspace, name: str, status: Any) -> None:
    ticket = Ticket(
        ticket=name, model_name="m", version=1, reference_digest="r", alarm_sequence=1,
        last_sequence=2, opened_at=NOW, changed_at=NOW, status=status,
    )  # fmt: skip
    open_store(workspace).put_ticket(ticket, [])


def test_a_trigger_that_fails_keeps_no_other_from_its_turn(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    for ticket in ("drift-1", "drift-2", "drift-3"):  # which the traffic log does not know
        verdict(workspace, ticket)
    with pytest.raises(HoldfastError, match="drift-1"):
        run_retrain(workspace, trigger="drift-3", sweep=True, call=call_directly)
    assert capsys.readouterr().err.splitlines() == [
        f"holdfast: another trigger failed: there is no ticket '{ticket}'"
        for ticket in ("drift-2", "drift-3")
    ]


def in_vain(workspace: Workspace, trigger: str) -> None:
    admitted = {"trigger": trigger, "kind": "drift", "ticket": "drift-1", "labelled": None}
    write(workspace, "retrain_admitted", **admitted)
    write(workspace, "retrain_finished", trigger=trigger, promoted=False)


def test_a_ticket_is_the_same_event_until_a_retrain_was_in_vain_and_new_rows_have_come(
    workspace: Workspace,
) -> None:
    """Otherwise harm that the first retrain does not mend would never be retrained on again."""
    ticket = Trigger(kind="drift", ticket="drift-1")
    rows = [{"text": f"row {n}", "label": "a"} for n in range(100)]
    first = trigger_id(workspace, ticket, rows)
    in_vain(workspace, first)
    assert trigger_id(workspace, ticket, rows[:99]) == first
    second = trigger_id(workspace, ticket, rows)
    assert second != first
    write(workspace, "retrain_admitted", trigger=second, kind="drift", ticket="drift-1")
    assert trigger_id(workspace, ticket, []) == second  # killed: the same event goes on
    write(workspace, "retrain_finished", trigger=second, promoted=True)
    assert trigger_id(workspace, ticket, rows) == second


def test_a_decision_leads_to_its_ticket(workspace: Workspace) -> None:
    verdict(workspace, "drift-1")
    expected = Trigger(kind="drift", ticket="drift-1")
    assert drift_trigger(workspace, "decision-drift-1") == expected
    assert drift_trigger(workspace, "drift-1") == expected
    with pytest.raises(UsageError, match="no decision x in the ledger says RETRAIN"):
        drift_trigger(workspace, "x")


def test_the_same_cause_has_the_same_id(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "new.csv"
    file.write_text("text,label\na,b\n")
    one = trigger_id(workspace, Trigger(kind="labelled", labelled=file), [])
    copy = tmp_path / "copy.csv"
    copy.write_bytes(file.read_bytes())
    assert trigger_id(workspace, Trigger(kind="labelled", labelled=copy), []) == one
    file.write_text("text,label\na,c\n")
    assert trigger_id(workspace, Trigger(kind="labelled", labelled=file), []) != one
    scheduled = Trigger(kind="scheduled")
    assert trigger_id(workspace, scheduled, [{"text": "a"}]) != trigger_id(
        workspace, scheduled, [{"text": "b"}]
    )


def test_rows_that_were_added_are_not_fresh(workspace: Workspace) -> None:
    added = workspace.root / "data/additions/one"
    added.mkdir(parents=True)
    rows = [{"text": "a", "label": "x"}, {"text": "b", "label": "x"}]
    (added / "train.jsonl").write_text(json.dumps(rows[0]) + "\n")
    assert fresh_rows(workspace, rows) == [rows[1]]


def test_rows_of_a_retrain_that_failed_are_fresh_until_one_has_learnt_from_them(
    workspace: Workspace,
) -> None:
    """Otherwise a retrain that a full disk stopped would have used up its evidence for ever."""
    rows = [{"text": "a", "label": "x"}, {"text": "b", "label": "x"}]
    added = workspace.root / "data/additions/one"
    added.mkdir(parents=True)
    (added / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    about = {"trigger": "one", "kind": "scheduled", "ticket": None, "labelled": None}
    write(workspace, "retrain_admitted", **about)
    assert fresh_rows(workspace, rows) == []
    write(workspace, "retrain_failed", trigger="one")
    assert fresh_rows(workspace, rows) == rows
    write(workspace, "retrain_admitted", **about)
    assert fresh_rows(workspace, rows) == []
    assert fresh_rows(workspace, rows, "one") == rows  # what it writes anew itself
    write(workspace, "retrain_finished", trigger="one", promoted=True)
    assert fresh_rows(workspace, rows) == []


def test_a_labelled_file_must_have_the_mapped_columns(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "new.csv"
    file.write_text("text,intent\na,b\n")
    with pytest.raises(DataError, match="has no column 'label'"):
        file_rows(file, workspace.params)


def test_a_retrain_that_finds_the_workspace_busy_is_not_admitted(workspace: Workspace) -> None:
    """Admitted, it would keep every other trigger waiting until somebody sweeps."""
    before = open_ledger(workspace).entries()
    with locked(workspace), pytest.raises(BusyError, match="another holdfast command is at work"):
        retrain(workspace, Trigger(kind="scheduled"))
    assert open_ledger(workspace).entries() == before


def test_the_monitor_runs_beside_a_training_and_beside_no_other_monitor(
    workspace: Workspace,
) -> None:
    """A training takes hours: to be refused for so long would be to watch nothing."""
    half = workspace.state / "references" / ".one.12345678.partial"
    killed = workspace.state / "retrain" / "one" / ".result.json.12345678.partial"
    with watching(workspace):
        for directory in (half, killed):
            directory.mkdir(parents=True)
        with locked(workspace):
            assert half.exists(), "the monitor is at work on it"
            assert not killed.exists()
        with pytest.raises(BusyError, match="another holdfast monitor is at work"):
            watching(workspace).__enter__()
    with watching(workspace):
        assert not half.exists()


def test_a_patient_workspace_waits_for_who_holds_it(workspace: Workspace) -> None:
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(workspace):
            held.set()
            go.wait(10)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(hold)
        assert held.wait(10)
        threading.Timer(0.1, go.set).start()
        with locked(replace(workspace, patience=timedelta(seconds=10))):
            assert go.is_set()


@pytest.mark.parametrize("asked", [{}, {"trigger": "t", "scheduled": True}])
def test_one_trigger_is_asked_for_at_a_time(workspace: Workspace, asked: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="triggers"):
        run_retrain(workspace, call=call_directly, **asked)


@pytest.mark.parametrize(
    ("said", "columns", "expected"),
    [
        ("spam", ColumnsParams(text="message", label="intent", id="n", timestamp="at"),
         {"message": "hello", "intent": "spam", "n": "p1", "at": NOW.isoformat()}),
        ({"tags": ["O"]}, ColumnsParams(text=None, label=None, tokens="words", tags="tags"),
         {"words": ["hello"], "tags": ["O"]}),
        ("hallo", ColumnsParams(text="en", label=None, target="de"), {"en": "hello", "de": "hallo"}),
    ],
)  # fmt: skip
def test_logged_rows_become_rows_as_the_raw_files_have_them(
    said: Any, columns: ColumnsParams, expected: dict[str, Any]
) -> None:
    prediction = LoggedPrediction(
        prediction_id="p1", request_id="r1", created_at=NOW, model_name="m", version=1,
        example={"text": "hello"}, output={"label": "x"},
    )  # fmt: skip
    label = LateLabel(prediction_id="p1", label=said, labelled_at=NOW, source="s")
    row = TrafficRow(sequence=1, prediction=prediction, label=label)
    assert raw_fields(row, columns) == expected
