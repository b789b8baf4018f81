"""Rows that a person marked with ``?``, and labels that come for them all the same."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from desks import TRAINING, VERSION
from toy_services import toy_client
from traffic_builders import START

from flows.monitoring.label_files import import_labels
from flows.monitoring.label_queue import asked_rows, label_queue
from flows.monitoring.labels import confirm_tickets
from flows.monitoring.windows import open_store
from flows.workspace import Workspace
from pipeline_steps.monitoring.tickets import Ticket
from pipeline_steps.traffic_rows import LateLabel


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
def test_a_label_that_comes_after_a_question_mark_counts(alarmed: Workspace, tell) -> None:
    first, second, *_ = asked(alarmed)
    give(alarmed, **{first: "?", second: "card"})
    assert judged(alarmed).harm.n == 1
    assert first not in asked(alarmed)
    tell(alarmed, **{first: "loan"})
    assert judged(alarmed).harm.n == 2


@pytest.mark.parametrize("tell", [give, send])
def test_a_question_mark_after_a_label_takes_it_out_until_it_is_given_again(
    alarmed: Workspace, tell
) -> None:
    first, second, *_ = asked(alarmed)
    give(alarmed, **{first: "loan", second: "card"})
    give(alarmed, **{first: "?"})
    assert judged(alarmed).harm.n == 1
    tell(alarmed, **{first: "loan"})
    assert judged(alarmed).harm.n == 2


def test_a_question_mark_on_a_row_whose_label_is_no_answer_ends_the_asking(
    alarmed: Workspace,
) -> None:
    first, *_ = asked(alarmed)
    flawed = LateLabel(prediction_id=first, label={}, labelled_at=START, source="feedback")
    open_store(alarmed).log.add_labels([flawed])
    assert judged(alarmed).left_out == (first,)
    assert first in asked(alarmed)
    give(alarmed, **{first: "?"})
    assert first not in asked(alarmed)
    assert judged(alarmed).left_out == ()
    assert first not in asked(alarmed)


def test_marks_of_an_older_version_are_kept_and_give_way_to_labels(alarmed: Workspace) -> None:
    first, second, *_ = asked(alarmed)
    store = open_store(alarmed)
    with store.database.writing() as connection:
        table = store.tables.requests
        chosen = sa.update(table).where(table.c.prediction_id == first).values(skipped=True)
        connection.execute(chosen)
        connection.exec_driver_sql(f"ALTER TABLE {table.name} DROP COLUMN skipped_over")
    assert first not in asked(alarmed)
    send(alarmed, **{first: "loan", second: "card"})
    assert judged(alarmed).harm.n == 2


def test_what_the_service_is_told_that_nobody_can_label_is_a_question_mark_in_the_file(
    alarmed: Workspace,
) -> None:
    first, second, *_ = before = asked(alarmed)
    store = open_store(alarmed)
    with toy_client(store.log, label_queue(alarmed, store.log)) as client:
        shown = [row["prediction_id"] for row in client.get("/labels").json()["rows"]]
        told = client.post("/labels/skip", json={"prediction_ids": [first]})
        again = client.post("/labels/skip", json={"prediction_ids": [first]})
    assert shown == before
    assert (told.json()["skipped"], again.status_code) == (1, 404)
    assert asked(alarmed)[0] == second
    assert judged(alarmed).harm.n == 0
    send(alarmed, **{first: "card"})
    assert judged(alarmed).harm.n == 1, "a label that comes later takes it back"
