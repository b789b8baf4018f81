"""The page of an incident: our verdict at its head, Evidently's charts under our settings."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from scipy import stats
from traffic_builders import START, answered, monitored, reference

from pipeline_steps.monitoring.confirm import confirm
from pipeline_steps.monitoring.incident_head import with_head
from pipeline_steps.monitoring.incident_report import (
    EVIDENCE,
    add_to_workspace,
    compare,
    score_tables,
    verdict_of_window,
    write_incident,
    write_window,
)
from pipeline_steps.monitoring.tickets import ticket_of
from pipeline_steps.monitoring.window import WindowPolicy, judge_window, start_watch

pytest.importorskip("evidently")
pytestmark = [
    pytest.mark.slow,  # it takes seconds to import
    pytest.mark.filterwarnings("ignore"),  # of Evidently's own dependencies
]


@pytest.fixture(scope="module")
def anchor():
    return reference()


@pytest.fixture(scope="module")
def rows():
    return monitored(answered(np.random.default_rng(0), 300, foreign=0.4))


def test_its_numbers_are_those_of_scipy(anchor, rows) -> None:
    before, now = score_tables(anchor, rows.rows)
    found = compare(anchor, rows.rows).dict()
    values = {
        m["config"]["column"]: m["value"] for m in found["metrics"] if "column" in m["config"]
    }
    assert set(values) == set(before.columns)
    for name, value in values.items():
        expected = stats.ks_2samp(before[name], now[name]).pvalue
        assert value == pytest.approx(expected, abs=1e-9)


def test_scores_that_one_side_lacks_are_left_out(anchor, rows) -> None:
    rows.rows.confidence[:] = np.nan
    before, now = score_tables(anchor, rows.rows)
    assert list(before.columns) == list(now.columns)
    assert "uncertainty" not in before.columns


def test_the_page_says_what_was_decided(anchor, tmp_path) -> None:
    policy = WindowPolicy(model_name="m", version=1, threshold=1e4)
    rows = monitored(answered(np.random.default_rng(1), 300, foreign=0.4))
    report = judge_window(rows, start_watch(anchor, policy), anchor, anchor, policy)
    ticket = ticket_of(report, START).model_copy(
        update={"harm": confirm([1.0] * 6, line=0.06, alpha=0.05), "status": "harm"}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_incident(tmp_path / "t", ticket, anchor, rows.rows, threshold=1e4)
    text = (tmp_path / "t.html").read_text(encoding="utf-8")
    assert f"{ticket.ticket}: harm" in text
    assert "by 6 labels; tolerated 0.060" in text
    assert "wetter" in text
    content = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    assert our_test(content) == "FAIL", "the evidence stands beside the scores"
    ended = with_head(text, ticket.model_copy(update={"status": "benign"}))
    assert f"{ticket.ticket}: benign" in ended
    assert f"{ticket.ticket}: harm" not in ended
    assert ended.count("<section style=") == text.count("<section style=")


def judged_window(anchor, seed, foreign, threshold=1e4):
    policy = WindowPolicy(model_name="m", version=1, threshold=threshold)
    rows = monitored(answered(np.random.default_rng(seed), 300, foreign=foreign))
    return judge_window(rows, start_watch(anchor, policy), anchor, anchor, policy), rows.rows


def our_test(content):
    [found] = [t for t in content["tests"] if EVIDENCE in t["name"]]
    return found["status"]


def test_its_test_of_our_evidence_fails_exactly_where_we_alarm(anchor, tmp_path) -> None:
    for foreign, status in ((0.0, "SUCCESS"), (0.4, "FAIL")):
        report, rows = judged_window(anchor, 2, foreign)
        write_window(tmp_path / "w.json", report, anchor, rows, START)
        content = json.loads((tmp_path / "w.json").read_text(encoding="utf-8"))
        assert our_test(content) == status
        assert (report.status == "drift") == (status == "FAIL")


def test_its_workspace_opens_again_and_lists_each_snapshot_once(anchor, tmp_path) -> None:
    from evidently.ui.workspace import Workspace

    for seed, foreign in ((3, 0.0), (4, 0.4), (4, 0.4)):
        report, rows = judged_window(anchor, seed, foreign)
        snapshot = compare(anchor, rows, verdict_of_window(report), at=START)
        add_to_workspace(
            tmp_path / "ui", "m", f"window {seed}", f"{seed}: {report.status}", snapshot
        )
    again = Workspace(str(tmp_path / "ui"))
    [project] = again.search_project("m")
    runs = [again.get_run(project.id, run) for run in again.list_runs(project.id)]
    assert sorted(run.name for run in runs) == ["3: no_drift", "4: drift"]
    assert {run.metadata["status"] for run in runs} == {"drift", "no_drift"}
    assert {run.timestamp for run in runs} == {START.replace(tzinfo=None)}
    [panel] = project.dashboard.model().panels
    assert panel.values[0].metric_labels == {"column": EVIDENCE}
