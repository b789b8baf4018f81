"""Disagreements of a shadow run as a file that a person fills in, and what the labels say."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from flows.evaluation_sets import record_set
from flows.monitoring.label_files import harmless, import_labels, read_labels
from flows.monitoring.labels import flawed_labels
from flows.monitoring.windows import open_store
from flows.shadow_evidence import record_shadow
from flows.shadow_run import Different, ShadowRun, keep_run, read_run
from flows.workspace import Workspace
from pipeline_steps.digests import value_digest
from pipeline_steps.errors import DataError
from pipeline_steps.evaluation.shadow import SUITE, weigh_losses
from pipeline_steps.files import write_text_atomically
from pipeline_steps.gate_types import ShadowEvidence
from pipeline_steps.monitoring.losses import answer_losses
from pipeline_steps.monitoring.monitored_rows import answer_text, text_of
from pipeline_steps.problems.right_answers import CANNOT_SAY
from pipeline_steps.traffic_rows import TrafficRow
from pipeline_steps.types import Value

COLUMNS = ("prediction_id", "shadow", "text", "answer_a", "answer_b", "label")


class Labelled(Value):
    """How far the labels of a run have come; ``evidence`` once none is missing."""

    run: ShadowRun
    n_labels: int
    n_waiting: int
    evidence: ShadowEvidence | None = None


def export_disagreements(workspace: Workspace, run: ShadowRun, path: Path) -> int:
    """Return how many disagreements wait for a label, after writing them to a CSV file.

    Whose answer is ``answer_a`` is decided by chance, row by row: who labels shall not know.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    rows = _rows(workspace, run)
    waiting = _waiting(run, rows)
    for found in waiting:
        text = text_of(rows[found.prediction_id].prediction.example)
        cells = [harmless(cell) for cell in (text, *_blind(run, found))]
        writer.writerow([found.prediction_id, run.name, *cells, ""])
    write_text_atomically(path, buffer.getvalue())
    return len(waiting)


def import_disagreements(workspace: Workspace, path: Path) -> Labelled:
    """Return how far a run's labels have come after those of a file went to the traffic log.

    Of a row the last file that says anything counts: a label takes a ``?`` back.

    Raises
    ------
    DataError
        If it is no such file, or holds rows of several runs.
    TrafficError
        If it names predictions that are not in the log.
    """
    lines = read_labels(path)
    names = {line.get("shadow", "") for line in lines}
    if len(names) != 1:
        raise DataError(
            f"{path} names {len(names)} shadow runs",
            expected="the rows of one run, with its name in the column `shadow`",
            fix="export the disagreements again: holdfast shadow --export FILE",
        )
    run = read_run(workspace, names.pop())
    import_labels(workspace, path)
    said = {line["prediction_id"]: line["label"].strip() for line in lines}
    again = {name for name, label in said.items() if label == CANNOT_SAY}
    skipped = again | {name for name in run.skipped if not said.get(name)}
    over = {name: at for name, at in run.skipped_over.items() if name in skipped - again}
    over |= _labelled_at(_rows(workspace, run), again)
    run = run.model_copy(update={"skipped": tuple(sorted(skipped)), "skipped_over": over})
    keep_run(workspace, run)
    return conclude(workspace, run)


def _labelled_at(rows: Mapping[str, TrafficRow], names: Iterable[str]) -> dict[str, datetime]:
    """Return when the label of each of some rows was given, of those that have one."""
    labels = {name: rows[name].label for name in names if name in rows}
    return {name: label.labelled_at for name, label in labels.items() if label is not None}


def conclude(workspace: Workspace, run: ShadowRun) -> Labelled:
    """Return how far the labels of a run have come; the ledger is told once none is missing.

    Labels that the service was told count too, and take a ``?`` back that was said before them.

    Raises
    ------
    DataError
        If the log has forgotten a row before it was labelled, or no row has a right answer.
    """
    rows = _rows(workspace, run)
    run = _with_later_labels(run, rows)
    waiting = _waiting(run, rows)
    known = [d for d in run.different if _is_labelled(rows[d.prediction_id])]
    known = [d for d in known if d.prediction_id not in run.skipped]
    if waiting:
        return Labelled(run=run, n_labels=len(known), n_waiting=len(waiting))
    if run.n == len(run.skipped):
        raise DataError(
            f"nobody could tell the right answer to any of the {run.n} rows",
            expected="a row that both versions answer alike, or one with a label",
            fix="replay a longer window: holdfast shadow --days 30",
        )
    evidence = _evidence(workspace, run, known, rows)
    if run.sketch is not None:  # of a run that an older version kept there is none
        record_set(workspace, SUITE, run.window_digest, run.sketch)
    record_shadow(
        workspace,
        evidence,
        run.training_fingerprint,
        f"version {run.challenger} beside version {run.champion} on {evidence.n} rows of "
        f"traffic: better on {evidence.n_candidate_better}, worse on {evidence.n_champion_better}",
    )
    return Labelled(run=run, n_labels=len(known), n_waiting=0, evidence=evidence)


def _with_later_labels(run: ShadowRun, rows: Mapping[str, TrafficRow]) -> ShadowRun:
    """Return the run without the ``?`` of rows that have got another label since."""
    given, over = _labelled_at(rows, run.skipped), run.skipped_over
    still = [name for name in run.skipped if name not in given or given[name] == over.get(name)]
    return run.model_copy(update={"skipped": tuple(still)})


def _evidence(
    workspace: Workspace, run: ShadowRun, known: list[Different], rows: dict[str, TrafficRow]
) -> ShadowEvidence:
    problem = workspace.params.problem
    found = [rows[d.prediction_id].label for d in known]
    labels = [label.label for label in found if label is not None]
    ours = answer_losses(problem, [d.challenger for d in known], labels).tolist()
    theirs = answer_losses(problem, [d.champion for d in known], labels).tolist()
    better, worse = weigh_losses(ours, theirs)
    return ShadowEvidence(
        candidate_digest=run.candidate_digest,
        champion_digest=run.champion_digest,
        window_digest=run.window_digest,
        n=run.n - (len(run.different) - len(known)),
        n_different=len(known),
        n_candidate_better=better,
        n_champion_better=worse,
    )


def _rows(workspace: Workspace, run: ShadowRun) -> dict[str, TrafficRow]:
    """Return the disagreements as the log has them, without labels that are no answers to them."""
    rows = open_store(workspace).rows([row.prediction_id for row in run.different])
    flawed = flawed_labels(workspace.params.problem, rows)
    return {
        name: row.model_copy(update={"label": None}) if name in flawed else row
        for name, row in rows.items()
    }


def _waiting(run: ShadowRun, rows: dict[str, TrafficRow]) -> list[Different]:
    """Return the disagreements without a label; a row that the log has forgotten is an error."""
    left = [d for d in run.different if d.prediction_id not in run.skipped]
    gone = [d.prediction_id for d in run.different if d.prediction_id not in rows]
    if gone:
        raise DataError(
            f"{len(gone)} rows of the shadow run {run.name} are not in the traffic log any more",
            expected="a log that keeps its rows until they are labelled (serve.retention_days)",
            fix="replay a later window: holdfast shadow --days 7",
        )
    return [d for d in left if not _is_labelled(rows[d.prediction_id])]


def _is_labelled(row: TrafficRow) -> bool:
    return row.label is not None


def _blind(run: ShadowRun, found: Different) -> tuple[str, str]:
    answers = answer_text(found.champion), answer_text(found.challenger)
    turned = int(value_digest([run.name, found.prediction_id])[:2], 16) % 2
    return (answers[1], answers[0]) if turned else answers
