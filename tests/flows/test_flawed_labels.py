"""Labels that are no answers to their rows: refused in a file, left out where the log has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from desks import TRAINING, VERSION
from traffic_builders import START

from flows.commands.monitor import summarize
from flows.monitor import MonitorResult
from flows.monitoring.label_files import describe, export_labels, import_labels
from flows.monitoring.labels import confirm_tickets
from flows.monitoring.windows import open_store
from flows.retraining.traffic_rows import traffic_rows
from flows.workspace import Workspace
from pipeline_steps.drift_types import RetrainDecision, RetrainVerdict
from pipeline_steps.errors import DataError
from pipeline_steps.traffic_rows import LateLabel

FLAWED: tuple[Any, ...] = (None, {}, "", ["a"], {"label": {}}, {"else": "a"})


def told(workspace: Workspace, labels: dict[str, Any]) -> None:
    open_store(workspace).log.add_labels(
        LateLabel(prediction_id=name, label=label, labelled_at=START, source="feedback")
        for name, label in labels.items()
    )


def test_labels_in_the_log_that_are_no_answers_are_left_out_and_said(
    alarmed: Workspace, tmp_path: Path
) -> None:
    store = open_store(alarmed)
    [ticket] = store.tickets("m")
    asked = [request.prediction_id for request in store.requests(ticket.ticket)]
    told(alarmed, {**dict.fromkeys(asked, "card"), **dict(zip(asked, FLAWED, strict=False))})
    [ticket] = confirm_tickets(alarmed, VERSION, TRAINING)
    assert ticket.harm is not None
    assert ticket.harm.n == len(asked) - len(FLAWED)
    assert set(ticket.left_out) == set(asked[: len(FLAWED)])
    decision = RetrainDecision(
        decision_id="d", verdict=RetrainVerdict.WAIT, reasons=(), model_name="m", version=1,
        minutes_left=1.0,
    )  # fmt: skip
    said = summarize(MonitorResult(version=1, windows=(), tickets=(ticket,), decision=decision))
    assert "6 labels left out, no answers to their rows: p" in said
    assert len(traffic_rows(alarmed, None)) == len(asked) - len(FLAWED)
    assert export_labels(alarmed, tmp_path / "again.csv") >= len(FLAWED)
    assert asked[0] in (tmp_path / "again.csv").read_text(encoding="utf-8")


def test_labels_that_the_model_does_not_know_are_named_as_they_may_be_typos(
    alarmed: Workspace, tmp_path: Path
) -> None:
    """A slip of the pen counts as an error of the model, and is learnt as a label of its own."""
    file = tmp_path / "labels.csv"
    file.write_text("prediction_id;label\np400;card\np401;Card\np402;Card\np403;?\n", "utf-8")
    found = import_labels(alarmed, file)  # with the separator of a spreadsheet
    assert (found.n_labels, found.n_skipped, found.unknown) == (3, 1, {"Card": 2})
    assert "labels that the model does not know: 'Card' (2 rows)" in describe(found)
    assert "\n" not in describe(found.model_copy(update={"unknown": {}}))


def test_a_file_with_labels_that_are_no_answers_adds_none(
    alarmed: Workspace, tmp_path: Path
) -> None:
    file = tmp_path / "labels.csv"
    file.write_text('prediction_id,label\np400,card\np401,"[""a""]"\np402,{}\n', "utf-8")
    with pytest.raises(DataError, match=r"2 labels that are no answers.*p401 \(a list.*p402 \(no"):
        import_labels(alarmed, file)
    assert traffic_rows(alarmed, None) == []
