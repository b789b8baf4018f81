"""Labels as a CSV file: the rows that wait for one, for a person to fill in, and what was given."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from flows.monitoring.label_queue import asked_rows
from flows.monitoring.windows import open_store
from flows.workspace import Workspace
from pipeline_steps.errors import DataError, counted
from pipeline_steps.files import write_text_atomically
from pipeline_steps.monitoring.losses import answer_flaw
from pipeline_steps.problems.right_answers import CANNOT_SAY, answer_name
from pipeline_steps.serving.label_queue import AskedRow
from pipeline_steps.traffic_rows import LateLabel, TrafficRow
from pipeline_steps.types import Value

COLUMNS = ("prediction_id", "ticket", "text", "answer", "label")
_NAMED = 10


class Imported(Value):
    """What came of a file of labels.

    ``unknown``: labels that the model cannot answer with, and of how many rows: new ones, or typos.
    """

    n_rows: int
    n_labels: int
    n_skipped: int
    n_empty: int
    unknown: dict[str, int] = Field(default_factory=dict)


def export_labels(workspace: Workspace, path: Path) -> int:
    """Return how many rows wait for a label, after writing them to a CSV file.

    Those whose label is no answer to them wait for another one. Columns: ``prediction_id``,
    ``ticket``, ``text``, ``answer`` (the model's), ``label``. A label that is no plain text is
    written as JSON; ``?`` says that a row cannot be labelled.
    """
    store = open_store(workspace)
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    rows = asked_rows(workspace, store)
    writer.writerows(_line(row) for row in rows)
    write_text_atomically(path, buffer.getvalue())
    return len(rows)


def import_labels(workspace: Workspace, path: Path) -> Imported:
    """Return what came of a CSV file that was exported and filled in.

    Labels go to the traffic log, as those that a service is told; importing a file again changes
    nothing. A ``?`` is taken back by a label that comes later, in a file or otherwise.

    Raises
    ------
    DataError
        If it is no such file, or holds labels that are no answers to their rows; none is added.
    TrafficError
        If it names predictions that are not in the log.
    """
    lines = read_labels(path)
    now, source = datetime.now(UTC), f"holdfast monitor labels ({workspace.settings.actor})"
    given = {line["prediction_id"]: line["label"].strip() for line in lines}
    store = open_store(workspace)
    known = store.rows(list(given))
    labels = {name: _label(text) for name, text in given.items() if text not in ("", CANNOT_SAY)}
    _refuse_flawed(workspace, path, labels, known)
    new = [
        LateLabel(prediction_id=name, label=label, labelled_at=now, source=source)
        for name, label in labels.items()
        if not _stands(known.get(name), label)
    ]
    n_labels = store.log.add_labels(new)
    store.skip(list(labels), skipped=False)  # also where the label that was there stands
    skipped = [name for name, text in given.items() if text == CANNOT_SAY]
    store.skip(skipped)
    n_empty = sum(not text for text in given.values())
    return Imported(
        n_rows=len(lines),
        n_labels=n_labels,
        n_skipped=len(skipped),
        n_empty=n_empty,
        unknown=_unknown(workspace, labels, known),
    )


def describe(found: Imported) -> str:
    """Return what came of a file in a sentence, and what may be a slip of the pen."""
    words = f"{found.n_labels} new labels, {found.n_skipped} skipped, {found.n_empty} still empty"
    if not found.unknown:
        return words
    named = [f"{name!r} ({counted(n, 'row')})" for name, n in found.unknown.items()]
    more = ", ..." if len(named) > _NAMED else ""
    return (
        f"{words}\nlabels that the model does not know: {', '.join(named[:_NAMED])}{more}; they "
        "count as errors, so mend those that are typos and import the file again"
    )


def _unknown(
    workspace: Workspace, labels: Mapping[str, Any], known: Mapping[str, TrafficRow]
) -> dict[str, int]:
    """Return labels that are none of those that the model chose from, where it is one label."""
    if answer_name(workspace.params.problem) != "label":
        return {}
    new = [
        label
        for name, label in labels.items()
        if isinstance(label, str) and label not in (known[name].prediction.probabilities or {label})
    ]
    return dict(Counter(new).most_common())


def _line(row: AskedRow) -> tuple[str, ...]:
    return row.prediction_id, row.place[1], harmless(row.text), harmless(row.answer), ""


def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _label(text: str) -> Any:
    """Return the label that a cell holds: JSON where it is a list or a mapping, else the text."""
    if text[:1] not in ("[", "{"):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _refuse_flawed(
    workspace: Workspace, path: Path, labels: Mapping[str, Any], known: Mapping[str, TrafficRow]
) -> None:
    """Refuse labels that are no answers to their rows; unknown rows are the log's to refuse."""
    problem = workspace.params.problem
    flaws = {
        name: answer_flaw(problem, known[name].prediction.output, label)
        for name, label in labels.items()
        if name in known
    }
    found = [f"{name} ({flaw})" for name, flaw in flaws.items() if flaw is not None]
    if found:
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise DataError(
            f"{path}: {counted(len(found), 'label')} that are no answers to their rows: "
            f"{', '.join(found[:_NAMED])}{more}",
            expected=f"what {problem} answers; empty: not yet, `?`: cannot be labelled",
            fix="mend these rows in the column label and import the file again: nothing was added",
        )


def _stands(row: TrafficRow | None, label: Any) -> bool:
    return row is not None and row.label is not None and row.label.label == label


def read_labels(path: Path) -> list[dict[str, str]]:
    """Return the lines of a CSV file of labels, each with ``prediction_id`` and ``label``.

    Raises
    ------
    DataError
        If it cannot be read, or lacks one of the two.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            separator = _separator(file.readline())
            file.seek(0)
            reader = csv.DictReader(file, delimiter=separator)
            lines = [{k: v or "" for k, v in line.items() if k} for line in reader]
            missing = {"prediction_id", "label"} - set(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _no_labels(path, str(error)) from error
    if missing:
        raise _no_labels(path, f"it has no column {' and no column '.join(sorted(missing))}")
    return lines


def _separator(header: str) -> str:
    """Return what is between the names of columns: spreadsheets of many countries write `;`."""
    return next((mark for mark in (",", ";", "\t") if mark in header), ",")


def _no_labels(path: Path, why: str) -> DataError:
    return DataError(
        f"{path} cannot be read as labels: {why}",
        expected="a CSV file in UTF-8 as `holdfast monitor labels --export FILE` writes it",
        fix="export the rows again and fill in the column label",
    )
