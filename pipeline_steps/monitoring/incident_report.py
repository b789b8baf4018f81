"""The one door to Evidently: a page per incident, JSON per window, and the workspace of its UI.

Our verdict stands at the head of a page; the evidence is a column of its own beside the scores, so
that Evidently's test of it fails where we alarm, and its dashboard draws it beside the line.

Evidently draws; it does not decide. Its defaults are overridden: every score is compared by a
two-sample Kolmogorov-Smirnov test at one level for all reference sizes (by default the method
changes at 1,000 rows), repeats are out of both sides, the level is shared among the scores, and
text and label columns, whose default tests are blind or alarm without drift, are left out.
"""

from __future__ import annotations

import math
import os
import uuid
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from pipeline_steps.drift_types import DriftReport
from pipeline_steps.errors import MissingDependencyError
from pipeline_steps.files import atomic_file
from pipeline_steps.monitoring.incident_head import with_head
from pipeline_steps.monitoring.reference import Reference
from pipeline_steps.monitoring.scores import ScoredRows, score_rows
from pipeline_steps.monitoring.tickets import Ticket

METHOD, LEVEL = "ks", 0.01
EVIDENCE = "log10 evidence"
_LEAST = 2
_LARGEST_LOG = 700.0  # of what a float holds


@dataclass(frozen=True)
class Verdict:
    """What stands in a snapshot beside Evidently's charts: our evidence, its line, and words."""

    evidence: float
    line: float
    said: dict[str, str]


def verdict_of_window(report: DriftReport) -> Verdict:
    """Return the verdict on a window."""
    said = _words(report.status, report.peak, report.threshold) | {
        "version": str(report.version),
        "rows": f"{report.first_sequence} to {report.last_sequence}",
        "not testable": ", ".join(f.name for f in report.scores if f.drifted is None) or "nothing",
    }
    return Verdict(report.peak, report.threshold, said)


def verdict_of_ticket(ticket: Ticket, threshold: float) -> Verdict:
    """Return the verdict on an incident: the evidence is that of its opening or escalation."""
    evidence = math.exp(min(ticket.log_evidence, _LARGEST_LOG))
    said = _words(ticket.status, evidence, threshold) | {
        "version": str(ticket.version),
        "rows": f"{ticket.alarm_sequence} to {ticket.last_sequence}",
    }
    return Verdict(evidence, threshold, said)


def _words(status: str, evidence: float, threshold: float) -> dict[str, str]:
    """Return what Evidently shows beside its charts: the verdict, and that it is not its own."""
    return {
        "decided by": "the conformal e-detector",
        "status": status,
        "evidence": f"{evidence:.4g}",
        "threshold": f"{threshold:.4g}",
    }


def can_render() -> bool:
    """Return whether Evidently is installed: it comes with the extra ``monitor``."""
    return find_spec("evidently") is not None


def write_incident(
    stem: Path, ticket: Ticket, training: Reference, rows: ScoredRows, *, threshold: float
) -> Any:
    """Return Evidently's snapshot after writing ``<stem>.html`` and ``<stem>.json``.

    Parameters
    ----------
    stem : Path
        Where they go, without an ending.
    ticket : Ticket
        What stands at the head of the page.
    training : Reference
        The anchor that never slides.
    rows : ScoredRows
        Rows after the alarm, repeats taken out.
    threshold : float
        Evidence at which there is an alarm.

    Raises
    ------
    MissingDependencyError
        If Evidently is not installed.
    """
    snapshot = compare(training, rows, verdict_of_ticket(ticket, threshold))
    page, content = stem.with_suffix(".html"), stem.with_suffix(".json")
    with atomic_file(page) as temporary:
        snapshot.save_html(str(temporary))
        text = temporary.read_text(encoding="utf-8")
        temporary.write_text(with_head(text, ticket), encoding="utf-8")
    with atomic_file(content) as temporary:
        temporary.write_text(snapshot.json(), encoding="utf-8")
    return snapshot


def write_window(
    path: Path, report: DriftReport, training: Reference, rows: ScoredRows, at: datetime
) -> Any:
    """Return Evidently's snapshot of a window after writing it as JSON.

    Parameters
    ----------
    rows : ScoredRows
        Those of the window, repeats taken out.
    at : datetime
        Time of its last row: where it stands in the charts of the UI.
    """
    snapshot = compare(training, rows, verdict_of_window(report), at=at)
    with atomic_file(path) as temporary:
        temporary.write_text(snapshot.json(), encoding="utf-8")
    return snapshot


def add_to_workspace(directory: Path, model_name: str, key: str, name: str, snapshot: Any) -> None:
    """Put a snapshot into the workspace of Evidently's UI, in the project of a model.

    Parameters
    ----------
    directory : Path
        Of the workspace; made where it is missing. ``evidently ui --workspace DIRECTORY`` shows it.
    key : str
        What the snapshot is of: one that was put there before under this key is replaced, so that
        a run that is repeated shows nothing twice.
    name : str
        How it is called there.
    """
    from evidently.ui.workspace import Workspace

    directory.mkdir(parents=True, exist_ok=True)
    workspace = Workspace.create(str(directory))
    project = _project(workspace, model_name)
    snapshot.set_name(name)
    # `add_run` draws a new id each time.
    workspace.state.write_snapshot(
        project.id, uuid.uuid5(project.id, key), snapshot.to_snapshot_model()
    )


def _project(workspace: Any, model_name: str) -> Any:
    """Return the project of a model; the first call makes it, with a panel of the evidence."""
    from evidently.sdk.models import PanelMetric, ProjectModel
    from evidently.sdk.panels import line_plot_panel

    found = workspace.search_project(model_name)
    if found:
        return found[0]
    project = workspace.add_project(
        ProjectModel(id=uuid.uuid5(uuid.NAMESPACE_URL, f"holdfast/{model_name}"), name=model_name)
    )
    shown = PanelMetric(
        metric="MaxValue", metric_labels={"column": EVIDENCE}, legend="largest of the window"
    )
    project.dashboard.add_panel(line_plot_panel(EVIDENCE, [shown]), tab="Drift")
    return project


def compare(
    training: Reference,
    rows: ScoredRows,
    verdict: Verdict | None = None,
    *,
    at: datetime | None = None,
) -> Any:
    """Return Evidently's snapshot of the scores of rows beside those of the reference.

    Parameters
    ----------
    verdict : Verdict, optional
        That on the rows: its evidence stands in the snapshot with the line of the alarm as
        Evidently's test, its words among the metadata.
    at : datetime, optional
        Time of the snapshot; now.
    """
    if not can_render():
        raise MissingDependencyError(
            "Evidently is not installed",
            expected="the extra `monitor`",
            fix="pip install 'holdfast[monitor]'",
        )
    os.environ.setdefault("DO_NOT_TRACK", "1")  # it reports to a server otherwise
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    reference, current = score_tables(training, rows)
    names = list(reference.columns)
    preset = DataDriftPreset(
        columns=names,
        per_column_method=dict.fromkeys(names, METHOD),
        per_column_threshold=dict.fromkeys(names, LEVEL / max(len(names), 1)),
    )
    metrics: list[Any] = [preset]
    said: dict[str, str] = {}
    if verdict is not None:
        current[EVIDENCE], reference[EVIDENCE] = _log10(verdict.evidence), 0.0
        metrics, said = [*_evidence(verdict), preset], verdict.said
    definition = DataDefinition(numerical_columns=list(current.columns))
    sets = [Dataset.from_pandas(t, data_definition=definition) for t in (current, reference)]
    moment = None if at is None else at.replace(tzinfo=None)  # Evidently's own are naive
    return Report(metrics, include_tests=True).run(*sets, metadata=said, timestamp=moment)


def _evidence(verdict: Verdict) -> list[Any]:
    from evidently.metrics import MaxValue
    from evidently.tests import lt

    return [MaxValue(column=EVIDENCE, tests=[lt(_log10(verdict.line))])]


def _log10(evidence: float) -> float:
    return math.log10(max(evidence, 1.0))


def score_tables(training: Reference, rows: ScoredRows) -> tuple[Any, Any]:
    """Return the scores of reference and rows as frames, without those that one of them lacks."""
    import pandas as pd

    names = list(training.meta.names)
    frames = [
        pd.DataFrame(scores, columns=names)
        for scores in (training.scores, score_rows(rows, training.frozen))
    ]
    kept = [name for name in names if all(_varies(frame[name]) for frame in frames)]
    return frames[0][kept], frames[1][kept]


def _varies(column: Any) -> bool:
    known = column.to_numpy(dtype=np.float64)
    known = known[~np.isnan(known)]
    return len(known) >= _LEAST and bool(known.min() < known.max())
