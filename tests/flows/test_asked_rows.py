"""The rows that tickets ask labels for: one queue, for the service and for the file."""

from __future__ import annotations

import csv
from pathlib import Path

from desks import TRAINING, VERSION, log_rows, make_desk
from traffic_builders import LABELS, START

from flows.monitoring.label_files import export_labels
from flows.monitoring.label_queue import asked_rows, label_queue
from flows.monitoring.labels import confirm_tickets
from flows.monitoring.windows import open_store, read_windows
from pipeline_steps.traffic_rows import LateLabel


def test_the_service_is_told_the_rows_of_the_file_page_by_page(tmp_path: Path) -> None:
    workspace = make_desk(tmp_path)
    log_rows(workspace, 600, foreign=0.6)
    read_windows(workspace, VERSION, TRAINING)
    confirm_tickets(workspace, VERSION, TRAINING)
    n = export_labels(workspace, tmp_path / "labels.csv")
    with (tmp_path / "labels.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    log = open_store(workspace).log
    asked = label_queue(workspace, log).asked
    first = asked(4, None)
    rest = asked(1_000, first[-1].place)
    shown = [*first, *rest]
    assert (len(first), len(shown)) == (4, n)
    assert [(row.prediction_id, row.place[1], row.text, row.answer) for row in shown] == [
        (line["prediction_id"], line["ticket"], line["text"], line["answer"]) for line in lines
    ]
    assert {(row.choices, row.draft) for row in shown} == {(tuple(sorted(LABELS)), "")}

    known, flawed = (row.prediction_id for row in first[:2])
    log.add_labels(
        LateLabel(prediction_id=name, label=label, labelled_at=START, source="feedback")
        for name, label in ((known, "card"), (flawed, {}))
    )
    confirm_tickets(workspace, VERSION, TRAINING)
    left = [row.prediction_id for row in asked_rows(workspace, open_store(workspace))]
    assert known not in left
    assert flawed in left, "its label is no answer to it, so another one is waited for"
