"""A change of what labels mean, under texts that stay: found by labels that come, or are asked."""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from desks import TRAINING, VERSION, make_desk
from traffic_builders import LABELS, START, answered, logged

from flows.monitoring.label_files import export_labels, import_labels
from flows.monitoring.label_queue import asked_rows
from flows.monitoring.labels import confirm_tickets
from flows.monitoring.standing import watch_labels
from flows.monitoring.windows import open_store, read_windows
from flows.workspace import Workspace
from pipeline_steps.monitoring.standing import ASKED, StandingDraw
from pipeline_steps.monitoring.standing_rows import forget_draws, next_position, rows_of_draw
from pipeline_steps.monitoring.tickets import Ticket
from pipeline_steps.traffic_rows import LateLabel

QUIET = {"rows_a_month": 50_000, "window_rows": 300, "evidently": "off"}


def desk(root: Path, **monitor: Any) -> Workspace:
    """Return a desk whose texts alarm seldom: what opens a ticket are labels."""
    return make_desk(root, monitor={**QUIET, **monitor})


def serve(workspace: Workspace, n: int, *, first: int = 0) -> dict[str, str]:
    """Log usual rows and return id -> truth."""
    rows = answered(np.random.default_rng(100 + first), n)
    open_store(workspace).log.append(logged(rows, first=first))
    return {f"p{first + i}": truth for i, (_, truth, _, _) in enumerate(rows)}


def turned(truth: dict[str, str]) -> dict[str, str]:
    """Return the truths in another meaning: two labels have changed places."""
    ring = {LABELS[0]: LABELS[1], LABELS[1]: LABELS[0]}
    return {name: ring.get(label, label) for name, label in truth.items()}


def tell(workspace: Workspace, labels: dict[str, Any], source: str = "feedback") -> None:
    open_store(workspace).log.add_labels(
        LateLabel(prediction_id=name, label=label, source=source,
                  labelled_at=START + timedelta(days=9))
        for name, label in labels.items()
    )  # fmt: skip


def watch(workspace: Workspace) -> list[Ticket]:
    """Return the tickets after a run of the monitor's steps that know labels."""
    read_windows(workspace, VERSION, TRAINING)
    watch_labels(workspace, VERSION, TRAINING)
    return confirm_tickets(workspace, VERSION, TRAINING)


def test_labels_that_come_anyway_open_a_ticket_that_fresh_labels_confirm(tmp_path: Path) -> None:
    workspace = desk(tmp_path)
    usual, new = serve(workspace, 300), serve(workspace, 700, first=300)
    assert watch(workspace) == []
    tell(workspace, usual)
    assert watch(workspace) == [], "usual labels are no harm"
    tell(workspace, turned(new))
    [opened] = watch(workspace)
    assert (opened.status, opened.opened_by) == ("harm", "labels")
    assert 300 < opened.alarm_sequence < 400
    asked = open_store(workspace).requests(opened.ticket)
    assert min(request.sequence for request in asked) > opened.alarm_sequence
    assert opened.explanation.within_effect > 10 * abs(opened.explanation.mix_effect)


def test_complaints_alone_open_nothing_however_many_of_the_wrong_answers_they_name(
    tmp_path: Path,
) -> None:
    workspace = desk(tmp_path)
    serve(workspace, 900)
    read_windows(workspace, VERSION, TRAINING)
    rows = open_store(workspace).log.read()
    wrong = [row for row in rows if row.sequence % 40 == 0]
    tell(workspace, {row.prediction.prediction_id: "another" for row in wrong}, "complaint")
    assert watch(workspace) == []
    found = watch_labels(workspace, VERSION, TRAINING)
    assert 0 < found.n_labelled < 0.06 * found.n_drawn


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_of_what_labels_showed_before_a_ticket_ended_nothing_counts_again(
    tmp_path: Path, share: float
) -> None:
    """They would open the same ticket at each run."""
    workspace = desk(tmp_path, standing_labels=share, rows_a_month=5_000, same_cause_hours=2.0)
    new = serve(workspace, 300)
    read_windows(workspace, VERSION, TRAINING)
    tell(workspace, turned(dict(list(new.items())[:50])))  # the others do not decide at once
    [ticket] = watch(workspace)
    assert (ticket.status, ticket.opened_by) == ("open", "labels")
    before = open_store(workspace).state(VERSION.name)
    tell_right(workspace, 300)
    while ticket.status == "open":
        [ticket] = watch(workspace)
    assert ticket.status == "benign"
    assert open_store(workspace).state(VERSION.name) == before, "the detector of texts goes on"
    more = serve(workspace, 300, first=300)
    tell(workspace, turned(more))
    assert len(watch(workspace)) == 1, "within the hours of the same cause"
    later = serve(workspace, 400, first=600)
    tell(workspace, turned(later))
    assert [t.status for t in watch(workspace)] == ["benign", "harm"]


def tell_right(workspace: Workspace, n: int) -> None:
    """Correct the labels of the first rows: every answer was right."""
    rows = open_store(workspace).log.read(0, n)
    open_store(workspace).log.add_labels(
        LateLabel(prediction_id=row.prediction.prediction_id, source="second look",
                  label=row.prediction.output["label"], labelled_at=START + timedelta(days=10))
        for row in rows
    )  # fmt: skip


def test_a_share_of_the_traffic_is_asked_for_in_the_queue_and_counts_once_labelled(
    tmp_path: Path,
) -> None:
    workspace = desk(tmp_path, standing_labels=0.2, label_cap=50)
    truth = turned(serve(workspace, 600))
    assert watch(workspace) == []
    assert watch_labels(workspace, VERSION, TRAINING).n_asked == 50
    rows = asked_rows(workspace, open_store(workspace))
    assert {row.place[1] for row in rows} == {ASKED}
    assert len(rows) == 50, "as many as a ticket may ask for, the newest ones"
    file = tmp_path / "labels.csv"
    export_labels(workspace, file)
    fill(file, truth, {rows[0].prediction_id: "?", rows[1].prediction_id: ""})
    assert import_labels(workspace, file).n_labels == 48
    left = asked_rows(workspace, open_store(workspace))
    assert rows[0].prediction_id not in {row.prediction_id for row in left}
    assert rows[1].prediction_id in {row.prediction_id for row in left}
    [ticket] = watch(workspace)
    assert ticket.opened_by == "labels"
    n = next_position(open_store(workspace), a_draw(workspace).name)
    serve(workspace, 300, first=600)
    watch(workspace)
    assert next_position(open_store(workspace), a_draw(workspace).name) == n, (
        "while a ticket asks, nothing is asked for besides"
    )


def a_draw(workspace: Workspace) -> StandingDraw:
    share = workspace.params.monitor.standing_share
    return StandingDraw(model_name=VERSION.name, version=1, share=share, asked=True)


def fill(file: Path, truth: dict[str, str], said: dict[str, str]) -> None:
    with file.open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, lines[0].keys())
        writer.writeheader()
        for line in lines:
            name = line["prediction_id"]
            writer.writerow({**line, "label": said.get(name, truth[name])})


def test_labels_for_what_nobody_drew_do_not_count(tmp_path: Path) -> None:
    workspace = desk(tmp_path, standing_labels=0.1)
    truth = turned(serve(workspace, 900))
    watch(workspace)
    drawn = {
        row.prediction_id for row in rows_of_draw(open_store(workspace), a_draw(workspace).name)
    }
    assert 50 < len(drawn) < 150
    tell(workspace, {name: label for name, label in truth.items() if name not in drawn})
    assert watch(workspace) == []
    assert watch_labels(workspace, VERSION, TRAINING).n_labelled == 0


def test_nothing_is_drawn_where_labels_shall_open_no_ticket(tmp_path: Path) -> None:
    workspace = desk(tmp_path, standing_alarms_a_month=0.0)
    tell_all = turned(serve(workspace, 600))
    read_windows(workspace, VERSION, TRAINING)
    tell(workspace, tell_all)
    assert watch(workspace) == []
    assert watch_labels(workspace, VERSION, TRAINING) is None


def test_old_rows_of_a_draw_and_other_draws_of_the_model_are_forgotten(tmp_path: Path) -> None:
    workspace = desk(tmp_path, standing_labels=0.5)
    serve(workspace, 300)
    watch(workspace)
    store, draw = open_store(workspace), a_draw(workspace)
    n = len(rows_of_draw(store, draw.name))
    assert forget_draws(store, draw, n) == 0
    assert forget_draws(store, draw, 100) == n - 100
    assert len(rows_of_draw(store, draw.name)) == 100
    assert next_position(store, draw.name) == n
    other = draw.model_copy(update={"model_name": "another"})
    assert forget_draws(store, other, 0) == 0
    assert forget_draws(store, draw.model_copy(update={"version": 2}), 100) == 100
    assert rows_of_draw(store, draw.name) == []


def test_a_run_that_ended_after_any_step_ends_as_one_that_did_not(tmp_path: Path) -> None:
    steps = (read_windows, watch_labels, confirm_tickets)
    kept = []
    for ends in ((), (1, 2), (1, 2, 3, 2)):
        root = tmp_path / f"desk {ends}"
        root.mkdir()
        workspace = desk(root, standing_labels=0.3)
        truth = turned(serve(workspace, 600))
        read_windows(workspace, VERSION, TRAINING)
        tell(workspace, truth)
        for n in (*ends, 3):
            for step in steps[:n]:
                step(workspace, VERSION, TRAINING)
        store = open_store(workspace)
        [ticket] = store.tickets(VERSION.name)
        kept.append((ticket.ticket, ticket.alarm_sequence, store.requests(ticket.ticket)[:10]))
    assert kept == kept[:1] * 3
