"""Which rows of the log a monitor reads, and what another champion or setting does to tickets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import traffic_builders
from desks import TRAINING, VERSION, log_rows, make_desk
from traffic_builders import answered, logged

from flows.commands.monitor import summarize
from flows.monitor import MonitorResult
from flows.monitoring.other_versions import find_other_versions
from flows.monitoring.windows import open_store, read_windows
from flows.notifying import of_monitor
from flows.registry_access import open_ledger
from flows.workspace import Workspace
from pipeline_steps.drift_types import DriftReport, RetrainDecision, RetrainVerdict
from pipeline_steps.errors import ConfigurationError

NEXT = VERSION.model_copy(update={"version": 2})
OTHER = replace(TRAINING, meta=TRAINING.meta.model_copy(update={"dataset_digest": "e" * 64}))


def statuses(workspace: Workspace) -> list[str]:
    return [ticket.status for ticket in open_store(workspace).tickets("m")]


def test_another_setting_leaves_the_tickets_of_the_champion_live(alarmed: Workspace) -> None:
    assert statuses(alarmed) == ["open"]
    read_windows(alarmed, VERSION, OTHER)
    assert statuses(alarmed) == ["open"]
    state = open_store(alarmed).state("m")
    assert state is not None
    assert state.training_digest == OTHER.digest


def test_another_champion_ends_the_tickets_of_the_version_before(alarmed: Workspace) -> None:
    read_windows(alarmed, NEXT, OTHER)
    assert statuses(alarmed) == ["superseded"]
    [ended] = open_store(alarmed).tickets("m")
    assert not ended.harmful


def test_one_row_of_a_session_is_compared(tmp_path: Path) -> None:
    workspace = make_desk(tmp_path)
    rows = logged(answered(np.random.default_rng(0), 60))
    open_store(workspace).log.append(
        row.model_copy(update={"session": f"s{place // 3}"}) for place, row in enumerate(rows)
    )
    [window] = read_windows(workspace, VERSION, TRAINING)
    assert (window.n_read, window.n_compared) == (60, 20)


def test_a_session_column_that_rows_do_not_have_is_an_error(tmp_path: Path) -> None:
    workspace = make_desk(tmp_path, monitor={"session_column": "sesion"})
    with pytest.raises(ConfigurationError, match=r"monitor\.session_column: rows have no 'sesion'"):
        read_windows(workspace, VERSION, TRAINING)
    pairs = make_desk(tmp_path, monitor={"session_column": "text_pair"})
    assert read_windows(pairs, VERSION, TRAINING) == []


def judged(workspace: Workspace, windows: Sequence[DriftReport]) -> MonitorResult:
    decision = RetrainDecision(
        decision_id="d", verdict=RetrainVerdict.WAIT, reasons=(), model_name="m", version=2,
        minutes_left=1.0,
    )  # fmt: skip
    found = find_other_versions(workspace, NEXT, windows)
    return MonitorResult(
        version=2, windows=tuple(windows), tickets=(), decision=decision, not_serving=found
    )


def promote(workspace: Workspace, version: int | None, new: int) -> None:
    open_ledger(workspace).move_champion(
        "m", expected=version, new=new, actor="a", reason="r", evidence={}
    )


def test_traffic_that_another_version_answers_is_said_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = make_desk(tmp_path)
    promote(workspace, None, 2)
    log_rows(workspace, 350, version=1)
    windows = read_windows(workspace, NEXT, TRAINING)
    assert [window.passed_over for window in windows] == [{1: 300}, {1: 50}]
    assert "300 rows of version 1 passed over" in summarize(judged(workspace, windows))
    assert judged(workspace, windows).not_serving is None, "answered before it was champion"
    now = datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr(traffic_builders, "START", now)
    log_rows(workspace, 20, version=1, first=400)
    first, again = (judged(workspace, windows) for windows in [
        read_windows(workspace, NEXT, TRAINING)] * 2)  # fmt: skip
    assert "WARNING: version 2 is champion, and version 1 answered all 20" in summarize(first)
    message = of_monitor(first)
    assert message is not None
    assert message.subject == "another version than the champion answers"
    assert again.not_serving is not None
    assert of_monitor(again) is None
    log_rows(workspace, 20, version=2, first=500)
    assert judged(workspace, read_windows(workspace, NEXT, TRAINING)).not_serving is None
    log_rows(workspace, 20, version=1, first=600)
    assert of_monitor(judged(workspace, read_windows(workspace, NEXT, TRAINING))) is not None


def test_a_window_tells_which_of_its_rows_were_passed_over(tmp_path: Path) -> None:
    workspace = make_desk(tmp_path)
    log_rows(workspace, 30, version=1)
    log_rows(workspace, 40, version=2, first=100)
    [window] = read_windows(workspace, NEXT, TRAINING)
    assert (window.n_read, window.passed_over) == (40, {1: 30})
    assert open_store(workspace).window_reports("m") == [window]
