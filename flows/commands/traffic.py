"""``holdfast traffic``: the traffic log as a file, and what it is to forget."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from flows.serving import open_shadow_log, open_traffic_log
from flows.workspace import Workspace
from pipeline_steps.errors import UsageError, counted
from pipeline_steps.types import Value


class Forgotten(Value):
    """What a log forgot: the rows from before a time, with their labels."""

    before: datetime
    n_rows: int
    n_shadow_rows: int


def export_traffic(workspace: Workspace, path: Path, *, shadow: bool = False) -> int:
    """Return how many rows of the log, or of the challenger's, were written to a Parquet file."""
    log = open_shadow_log(workspace) if shadow else open_traffic_log(workspace)
    return log.export(path)


def forget_traffic(workspace: Workspace, before: datetime) -> Forgotten:
    """Return what the traffic log and the challenger's forgot: all rows from before a time."""
    return Forgotten(
        before=before,
        n_rows=open_traffic_log(workspace).forget(before),
        n_shadow_rows=open_shadow_log(workspace).forget(before),
    )


def moment_before(workspace: Workspace, days: float | None, before: datetime | None) -> datetime:
    """Return the time before which rows are to be forgotten.

    Parameters
    ----------
    workspace : Workspace
        Its ``serve.retention_days`` count where neither option is given.
    days : float or None
        Age of the rows.
    before : datetime or None
        In UTC where it has no zone.

    Raises
    ------
    UsageError
        If both are given, or none and the parameters say that nothing is forgotten.
    """
    if days is None and before is None:
        days = workspace.params.serve.retention_days
    if (days is None) == (before is None):
        raise UsageError(
            "no age, and serve.retention_days is null"
            if before is None
            else "both --days and --before",
            expected="--days N or --before TIME; without both, serve.retention_days",
            fix="holdfast traffic forget --days 90",
        )
    if before is not None:
        return before if before.tzinfo else before.replace(tzinfo=UTC)
    return datetime.now(UTC) - timedelta(days=days or 0.0)


def describe(forgotten: Forgotten) -> str:
    """Return what was forgotten as it reads."""
    return (
        f"{counted(forgotten.n_rows, 'row')} from before {forgotten.before:%Y-%m-%d %H:%M} UTC "
        f"forgotten, {forgotten.n_shadow_rows} of the challenger"
    )
