"""``holdfast simulate-traffic``: later traffic of the sample corpus, or of a user's file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flows.simulating import ChampionAnswers, Played, Receiver, RunningService, play
from flows.workspace import Workspace
from pipeline_steps.data_params import SourceParams
from pipeline_steps.data_preparation.examples import read_example
from pipeline_steps.data_preparation.readers import RawRow, RowReader, require_columns
from pipeline_steps.errors import ConfigurationError, UsageError, counted
from pipeline_steps.fields import NotAValueError
from pipeline_steps.monitoring.late_labels import late_label
from pipeline_steps.monitoring.simulation import DRIFTS, Arrival, Stream, arrivals
from pipeline_steps.problem_defaults import COLUMNS
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.problem import Problem

Examples = list[Mapping[str, Any]]
RECORDED = "recorded"
LATER = Path("data/raw/helpdesk_later.jsonl.gz")
_PHASE = "phase"
_BEFORE, _AFTER = "none", "new_phrasing"


@dataclass(frozen=True)
class Rows:
    """Where the rows of a simulation come from.

    Parameters
    ----------
    file : Path or None
        Rows from before a shift, in the form of the raw files; ``None``: the sample's later stream.
    shifted : Path or None
        Rows from after it.
    phases : tuple of str
        Of a file whose rows have a field ``phase``: which to play; in a stream, the first is from
        before the shift, the others are from after it.
    """

    file: Path | None = None
    shifted: Path | None = None
    phases: tuple[str, ...] = ()


def simulate_traffic(
    workspace: Workspace,
    stream: Stream | None,
    rows: Rows,
    *,
    url: str | None = None,
    settle: bool = False,
    label_hours: float = 24.0,
) -> Played:
    """Return what was played into the traffic log or, with ``url``, at a running service.

    Parameters
    ----------
    workspace : Workspace
        Its champion answers where no service does.
    stream : Stream or None
        What is played; ``None``: the rows as recorded, in their order and times.
    rows : Rows
        Where they come from.
    url : str, optional
        Of a running service.
    settle : bool
        Whether labels that are due after the last row come too.
    label_hours : float
        Hours to a label, of rows as recorded.
    """
    if stream is None:
        arriving = iter(recorded_arrivals(workspace, rows, label_hours=label_hours))
    else:
        arriving = stream_arrivals(workspace, stream, rows)
    return play(arriving, _receiver(workspace, url), settle=settle)


def stream_arrivals(workspace: Workspace, stream: Stream, rows: Rows) -> Iterator[Arrival]:
    """Return the rows of a stream, drawn from files of the workspace's problem."""
    before, after = _pools(workspace, rows, recorded=False)
    return arrivals(stream, before, after, get_problem(workspace.params.problem))


def recorded_arrivals(
    workspace: Workspace, rows: Rows, *, label_hours: float = 24.0
) -> list[Arrival]:
    """Return the rows of a file as recorded: in their order, under their times."""
    found, _ = _pools(workspace, rows, recorded=True)
    return list(as_recorded(found, workspace.params.problem, label_hours=label_hours))


def stream_of(
    drift: str, start: datetime | None = None, *, label_hours: float = 24.0, **settings: Any
) -> Stream | None:
    """Return the stream that the options ask for; ``None`` for rows as recorded.

    Raises
    ------
    UsageError
        If the drift is unknown, or rows as recorded are asked to be otherwise.
    """
    known = {name: name for name in DRIFTS}
    if drift == RECORDED:
        _refuse_settings(settings if start is None else {"start": start, **settings})
        return None
    if drift not in known:
        raise UsageError(
            f"--drift {drift}",
            expected=f"one of {RECORDED}, {', '.join(DRIFTS)}",
            fix="holdfast simulate-traffic --help",
        )
    first = (start or datetime.now(UTC)).replace(tzinfo=UTC)
    return replace(Stream(known[drift], 1_000, first, label_hours=label_hours), **settings)


def _refuse_settings(settings: Mapping[str, Any]) -> None:
    """Refuse what would be read of a stream only; played as recorded, it would go unheard."""
    if settings:
        given = ", ".join(f"--{name.replace('_', '-')}" for name in settings)
        raise UsageError(
            f"{given} for rows as recorded",
            expected="rows in their own number, times and labels, or a stream drawn from them",
            fix="leave it out, or name a stream: --drift none, --drift abrupt, ...",
        )


def as_recorded(rows: Examples, problem: str, *, label_hours: float) -> Iterator[Arrival]:
    """Yield rows in their order under their own times; each label comes the same time later."""
    for row in rows:
        at = row["timestamp"]
        if at is None:
            raise ConfigurationError(
                "rows as recorded need a time each",
                expected="ingest.columns.timestamp, and a time in every row",
                fix="play the file with --drift none: then the times are synthetic",
            )
        yield Arrival(
            name=f"recorded-{_name_of(row)}",
            at=at,
            row=row,
            label=late_label(problem, row),
            labelled_at=at + timedelta(hours=label_hours),
            shifted=row.get(_PHASE, _BEFORE) != _BEFORE,
        )


def describe(played: Played) -> str:
    """Return what was played, in two lines."""
    span = "" if played.first is None else f", {played.first:%Y-%m-%d} to {played.last:%Y-%m-%d}"
    return (
        f"{counted(played.n_rows, 'row')} in {played.seconds:.0f} s ({played.n_shifted} of them "
        f"from after the shift{span}){_known(played.n_known)}\n"
        f"{counted(played.n_labels, 'label')} came, {played.n_labels_to_come} are still to come"
        f"{_known(played.n_labels_known)}"
    )


def _known(n: int) -> str:
    return f"; {n} were in the log before" if n else ""


def _name_of(row: Mapping[str, Any]) -> str:
    from pipeline_steps.digests import value_digest

    return value_digest({name: str(value) for name, value in row.items()})[:16]


def _pools(workspace: Workspace, rows: Rows, *, recorded: bool) -> tuple[Examples, Examples]:
    """Return rows from before and from after the shift; as recorded, all are in the first."""
    path = rows.file or workspace.root / LATER
    if not path.exists():
        raise ConfigurationError(
            f"there is no {path}",
            expected="a file of rows to play",
            fix="name one: --file FILE; the sample's is made by: holdfast prepare",
        )
    found = _read(workspace, path)
    if recorded:
        return [row for row in found if not rows.phases or row.get(_PHASE) in rows.phases], []
    if rows.shifted is not None:
        return found, _read(workspace, rows.shifted)
    if all(_PHASE in row for row in found):
        first, *others = rows.phases or (_BEFORE, _AFTER)
        later = [row for row in found if row[_PHASE] in others]
        return [row for row in found if row[_PHASE] == first], later
    return found, []


def _read(workspace: Workspace, path: Path) -> Examples:
    """Return the rows of a file as examples; those that cannot be used are left out."""
    problem = get_problem(workspace.params.problem)
    columns = {k: v for k, v in workspace.params.ingest.columns.model_dump().items() if v}
    raw = [row for row in RowReader(path) if isinstance(row, RawRow)]
    present = dict.fromkeys(name for row in raw for name in row.fields)
    asked = [columns[field] for field in (*COLUMNS[problem.name],) if field in columns]
    require_columns(path, present, asked)
    source = SourceParams(path=path.name)
    found = [(row, _example(row, source, columns, problem)) for row in raw]
    phase = {_PHASE} if _PHASE in present else set()
    return [
        {**example, **{name: row.fields.get(name) for name in phase}}
        for row, example in found
        if example is not None
    ]


def _example(
    row: RawRow, source: SourceParams, columns: Mapping[str, str], problem: Problem
) -> dict[str, Any] | None:
    try:
        example, _ = read_example(row, source, columns, problem)
    except NotAValueError:
        return None
    sound = bool((example["text"] or "").strip()) and not problem.find_flaws(example)
    return example if sound else None


def _receiver(workspace: Workspace, url: str | None) -> Receiver:
    if url is None:
        return ChampionAnswers.of(workspace)
    return RunningService(url, get_problem(workspace.params.problem))
