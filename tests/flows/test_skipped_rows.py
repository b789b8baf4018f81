"""Rows that a person marked with ``?``, and labels that come for them all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from desks import TRAINING, VERSION, log_rows, make_desk
from toy_services import toy_client
from traffic_builders import START

from flows.monitoring.label_files import import_labels
from flows.monitoring.label_queue import asked_rows, label_queue
from flows.monitoring.labels import confirm_tickets
from flows.monitoring.windows import open_store, read_windows
from flows.workspace import Workspace
from pipeline_steps.monitoring.tickets import Ticket
from pipeline_steps.traffic_rows import LateLabel


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Return a workspace with a ticket that waits for ten labels."""
    found = make_desk(tmp_path)
    log_rows(found, 600, foreign=0.6)
    read_windows(found, VERSION, TRAINING)
    confirm_tickets(found, VERSION, TRAINING)
    return found


def asked(workspace: Workspace) -> list[str]:
    return [row.prediction_id for row in asked_rows(workspace, open_store(workspace))]


def give(workspace: Workspace, **labels: str) -> None:
    """Import a file with labels, as a person does."""
    file = workspace.root / "labels.csv"
    lines = [f"{name},{label}" for name, label in labels.items()]
    file.write_text("\n".join(["prediction_id,label", *lines, ""]), encoding="utf-8")
    import_labels(workspace, file)


def send(workspace: Workspace, **labels: object) -> None:
    """Send labels to the service."""
    given = [{"prediction_id": name, "label": label} for name, label in labels.items()]
    with toy_client(open_store(workspace).log) as client:
        told = client.post("/feedback", json={"labels": given})
    assert told.status_code == 200, told.text


def judged(workspace: Workspace) -> Ticket:
    [ticket] = confirm_tickets(workspace, VERSION, TRAINING)
    assert ticket.harm is not None
    return ticket


@pytest.mark.parametrize("tell", [give, send])
def test_a_label_that_comes_after_a_question_mark_counts(workspace: Workspace, tell) -> None:
    first, second, *_ = asked(workspace)
    give(workspace, **{first: "?", second: "card"})
    assert judged(workspace).harm.n == 1
    assert first not in asked(workspace)
    tell(workspace, **{first: "loan"})
    assert judged(workspace).harm.n == 2


@pytest.mark.parametrize("tell", [give, send])
def test_a_question_mark_after_a_label_takes_it_out_until_it_is_given_again(
    workspace: Workspace, tell
) -> None:
    first, second, *_ = asked(workspace)
    give(workspace, **{first: "loan", second: "card"})
    give(workspace, **{first: "?"})
    assert judged(workspace).harm.n == 1
    tell(workspace, **{first: "loan"})
    assert judged(workspace).harm.n == 2


def test_a_question_mark_on_a_row_whose_label_is_no_answer_ends_the_asking(
    workspace: Workspace,
) -> None:
    first, *_ = asked(workspace)
    flawed = LateLabel(prediction_id=first, label={}, labelled_at=START, source="feedback")
    open_store(workspace).log.add_labels([flawed])
    assert judged(workspace).left_out == (first,)
    assert first in asked(workspace)
    give(workspace, **{first: "?"})
    assert first not in asked(workspace)
    assert judged(workspace).left_out == ()
    assert first not in asked(workspace)


def test_marks_of_an_older_version_are_kept_and_give_way_to_labels(workspace: Workspace) -> None:
    first, second, *_ = asked(workspace)
    store = open_store(workspace)
    with store.database.writing() as connection:
        table = store.tables.requests
        chosen = sa.update(table).where(table.c.prediction_id == first).values(skipped=True)
        connection.execute(chosen)
        connection.exec_driver_sql(f"ALTER TABLE {table.name} DROP COLUMN skipped_over")
    assert first not in asked(workspace)
    send(workspace, **{first: "loan", second: "card"})
    assert judged(workspace).harm.n == 2


def test_what_the_service_is_told_that_nobody_can_label_is_a_question_mark_in_the_file(
    workspace: Workspace,
) -> None:
    first, second, *_ = before = asked(workspace)
    store = open_store(workspace)
    with toy_client(store.log, label_queue(workspace, store.log)) as client:
        shown = [row["prediction_id"] for row in client.get("/labels").json()["rows"]]
        told = client.post("/labels/skip", json={"prediction_ids": [first]})
        again = client.post("/labels/skip", json={"prediction_ids": [first]})
    assert shown == before
    assert (told.json()["skipped"], again.status_code) == (1, 404)
    assert asked(workspace)[0] == second
    assert judged(workspace).harm.n == 0
    send(workspace, **{first: "card"})
    assert judged(workspace).harm.n == 1, "a label that comes later takes it back"
