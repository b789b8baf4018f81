"""Rows of the traffic log that have their late label, as the workspace's raw files hold rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flows.retraining.dataset_version import RawFields
from flows.workspace import Workspace
from pipeline_steps.data_params import ColumnsParams
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.monitoring.late_labels import raw_answer
from pipeline_steps.monitoring.traffic import TrafficLog, TrafficRow
from pipeline_steps.problems.right_answers import label_flaw


def traffic_rows(workspace: Workspace, ticket: str | None) -> list[RawFields]:
    """Return the labelled rows of the traffic log: those since a ticket's shift began, or all.

    Without those whose label fits no answer of the problem: there is nothing to learn from.
    """
    first = 0 if ticket is None else first_sequence(workspace, ticket)
    columns, problem = workspace.params.ingest.columns, workspace.params.problem
    return [
        raw_fields(row, columns)
        for row in _pages(workspace, after=first - 1)
        if row.label is not None and label_flaw(problem, row.label.label) is None
    ]


def first_sequence(workspace: Workspace, ticket: str) -> int:
    """Return the place in the traffic log at which a ticket's alarm came.

    Raises
    ------
    ConfigurationError
        If the harm of the ticket is not confirmed.
    """
    from flows.monitoring.windows import open_store

    found = open_store(workspace).ticket(ticket)
    if not found.harmful:
        raise ConfigurationError(
            f"the ticket {ticket} is {found.status}, and no harm of it is confirmed",
            expected="a ticket whose harm is confirmed: only then is there something to mend",
            fix="answer its label requests, then: holdfast monitor",
        )
    return found.alarm_sequence


def raw_fields(row: TrafficRow, columns: ColumnsParams) -> dict[str, Any]:
    """Return a logged prediction with its label under the names of the raw files.

    The label is what the problem learns: one label, or a mapping of the columns that it reads
    (``{"tags": [...]}``), as ``/feedback`` takes it. Columns that the log does not know are null.
    """
    prediction = row.prediction
    said = row.label.label if row.label is not None else None
    known = {
        **prediction.example,
        **raw_answer(prediction.example, said),
        "id": prediction.prediction_id,
        "timestamp": prediction.created_at.isoformat(),
        "domain": prediction.example.get("domain", prediction.segment),
    }
    mapped = {field: name for field, name in columns.model_dump().items() if name is not None}
    if "target" in mapped and "messages" in mapped:  # the reply has a column of its own
        known["messages"] = prediction.example.get("messages")
    return {name: known.get(field) for field, name in mapped.items()}


def _pages(workspace: Workspace, after: int) -> Iterator[TrafficRow]:
    log = TrafficLog(workspace.traffic_url)
    while page := log.read(max(after, 0), model_name=workspace.params.register_.model_name):
        yield from page
        after = page[-1].sequence
