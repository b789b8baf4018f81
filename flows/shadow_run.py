"""Champion and challenger over a window of the traffic log: both answer it anew, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from flows.evaluation_sets import sketch_of_requests
from flows.registry_access import champion_version, open_tracker
from flows.serving import LoadedVersion, RegistryVersions, open_traffic_log
from flows.workspace import Workspace
from pipeline_steps.digests import value_digest
from pipeline_steps.errors import ROW_ERRORS, RegistryError, TrafficError, UsageError
from pipeline_steps.files import write_text_atomically
from pipeline_steps.monitoring.monitored_rows import answer_text
from pipeline_steps.registry.row_sketch import RowSketch
from pipeline_steps.registry.tracked_runs import TRAINING_FINGERPRINT
from pipeline_steps.serving.redaction import Redactor
from pipeline_steps.traffic_rows import LoggedPrediction
from pipeline_steps.types import ModelVersion, Value

_BATCH = 64
Output = dict[str, Any]


class Different(Value):
    """A row of the log that the two answered differently."""

    prediction_id: str
    champion: Output
    challenger: Output


class ShadowRun(Value):
    """What came of a window: rows that both answered, and those on which they differ.

    ``n_repeated`` rows said what an earlier one had said, ``n_unread`` one of the two could not
    read. ``sketch``: which rows both answered, for the account of other windows that have some of
    them too. ``skipped``: ids of rows whose right answer nobody could tell; ``skipped_over``: when
    the label was given that such a row had by then.
    """

    name: str
    champion: int
    challenger: int
    champion_digest: str
    candidate_digest: str
    training_fingerprint: str
    since: datetime
    until: datetime
    window_digest: str
    n: int
    n_repeated: int
    n_unread: int
    different: tuple[Different, ...]
    sketch: RowSketch | None = None
    skipped: tuple[str, ...] = ()
    skipped_over: dict[str, datetime] = Field(default_factory=dict)


class Window(Value):
    """Which rows are answered: those of a span of time, at most so many, and so many to label."""

    since: datetime
    until: datetime
    rows: int
    labels: int


def run_shadow(workspace: Workspace, challenger: int | None, window: Window) -> ShadowRun:
    """Return what champion and challenger answered to a window; it is kept until it is labelled.

    Rows are taken in an order that only their ids decide, each text once, until there are enough,
    or enough disagreements to label. Run again, the same window is the same run.

    Raises
    ------
    RegistryError
        If there is no champion or no challenger.
    TrafficError
        If the log has no rows in the window that both can read.
    """
    theirs, ours = _pair(workspace, challenger)
    name = theirs.name
    logged = [row.prediction for row in _logged(workspace, name, window)]
    rows, n_repeated = _chosen(logged)
    versions = RegistryVersions(workspace)
    both = versions.load(theirs.version), versions.load(ours.version)
    ids, different, n_unread = _answer(rows[: window.rows], *both, window.labels)
    if not ids:
        raise TrafficError(
            f"{name} has no rows from {window.since} to {window.until} that both versions can read "
            f"({len(logged)} logged, {n_unread} unread)",
            expected="answered rows in the traffic log",
            fix="name a longer window: holdfast shadow --days 30",
        )
    window_digest = value_digest(sorted(ids))
    about = {
        "champion_digest": theirs.checkpoint_digest,
        "candidate_digest": ours.checkpoint_digest,
        "window_digest": window_digest,
    }
    run = ShadowRun(
        name=value_digest(about)[:12],
        champion=theirs.version,
        challenger=ours.version,
        training_fingerprint=_training_of(workspace, ours),
        since=window.since,
        until=window.until,
        n=len(ids),
        n_repeated=n_repeated,
        n_unread=n_unread,
        different=tuple(different),
        sketch=sketch_of_requests(row.example for row in rows if row.prediction_id in {*ids}),
        **about,
    )
    return _kept(workspace, run)


def read_run(workspace: Workspace, name: str) -> ShadowRun:
    """Return a run that was kept.

    Raises
    ------
    UsageError
        If there is none of this name.
    """
    path = _path(workspace, name)
    if not name.isalnum() or not path.is_file():
        raise UsageError(
            f"there is no shadow run {name!r} in this workspace",
            expected="the name in the column `shadow` of a file that was exported here",
            fix="replay the window and export it: holdfast shadow --export FILE",
        )
    return ShadowRun.model_validate_json(path.read_text(encoding="utf-8"))


def keep_run(workspace: Workspace, run: ShadowRun) -> None:
    """Write a run down, in the place of what was known of it before."""
    write_text_atomically(_path(workspace, run.name), run.model_dump_json(indent=1))


def _path(workspace: Workspace, name: str) -> Path:
    return workspace.state / "shadow" / f"{name}.json"


def _kept(workspace: Workspace, run: ShadowRun) -> ShadowRun:
    """Return the run with what was skipped when it was labelled before."""
    if _path(workspace, run.name).is_file():
        before = read_run(workspace, run.name)
        known = {"skipped": before.skipped, "skipped_over": before.skipped_over}
        run = run.model_copy(update=known)
    keep_run(workspace, run)
    return run


def _pair(workspace: Workspace, challenger: int | None) -> tuple[ModelVersion, ModelVersion]:
    """Return champion and challenger, which are two."""
    theirs, number = champion_version(workspace), challenger
    if number is None:
        number = RegistryVersions(workspace).challenger()
    if theirs is None or number is None or number == theirs.version:
        raise RegistryError(
            f"there is no {'champion' if theirs is None else 'challenger beside the champion'}",
            expected="a champion, and another version that may take its place",
            fix="train one (holdfast train --no-promote), or name it: holdfast shadow VERSION",
        )
    return theirs, open_tracker(workspace).version(theirs.name, number)


def _training_of(workspace: Workspace, version: ModelVersion) -> str:
    tags = open_tracker(workspace).run(version.mlflow_run_id).tags
    return str(tags.get(TRAINING_FINGERPRINT, ""))


def _logged(workspace: Workspace, name: str, window: Window) -> Iterable[Any]:
    return open_traffic_log(workspace).window(window.since, window.until, name)


def _chosen(logged: Sequence[LoggedPrediction]) -> tuple[list[LoggedPrediction], int]:
    """Return each text once, in an order by chance that its ids fix, and how many were repeats."""
    first: dict[str, LoggedPrediction] = {}
    for prediction in logged:
        first.setdefault(value_digest(prediction.example), prediction)
    order = sorted(first.values(), key=lambda row: value_digest(row.prediction_id))
    return order, len(logged) - len(order)


def _answer(
    rows: Sequence[LoggedPrediction], theirs: LoadedVersion, ours: LoadedVersion, labels: int
) -> tuple[list[str], list[Different], int]:
    """Return ids of the rows that both answered, where they differ, and how many were not read."""
    ids: list[str] = []
    different: list[Different] = []
    n_unread = 0
    for start in range(0, len(rows), _BATCH):
        some = rows[start : start + _BATCH]
        requests = [row.example for row in some]
        pairs = zip(some, _answers(theirs, requests), _answers(ours, requests), strict=True)
        for row, one, other in pairs:
            if one is None or other is None:
                n_unread += 1
                continue
            ids.append(row.prediction_id)
            if answer_text(one) != answer_text(other):
                found = Different(prediction_id=row.prediction_id, champion=one, challenger=other)
                different.append(found)
            if len(different) == labels:
                return ids, different, n_unread
    return ids, different, n_unread


def _answers(
    model: LoadedVersion, requests: Sequence[Mapping[str, Any]]
) -> Iterator[Output | None]:
    """Yield the answers as the traffic log keeps them; ``None`` where a row cannot be read."""
    try:
        said = model.answer(requests)
    except ROW_ERRORS:
        if len(requests) == 1:
            yield None
            return
        for request in requests:
            yield from _answers(model, [request])
        return
    plain = Redactor(())
    for request, answer in zip(requests, said, strict=True):
        yield plain.kept(request, answer)[1]
