"""``holdfast shadow``: champion and challenger over a window of logged traffic."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from flows.shadow_labels import Labelled
from flows.shadow_run import ShadowRun, Window
from pipeline_steps.errors import UsageError, counted
from pipeline_steps.monitoring.monitored_rows import answer_text

_SHOWN = 10


def window_of(
    since: datetime | None, until: datetime | None, days: float, *, rows: int, labels: int
) -> Window:
    """Return the window that the options name; times are UTC.

    Raises
    ------
    UsageError
        If it ends before it begins.
    """
    end = (until or datetime.now(UTC)).replace(tzinfo=UTC)
    begin = end - timedelta(days=days) if since is None else since.replace(tzinfo=UTC)
    if begin >= end:
        raise UsageError(
            f"a window from {begin} to {end}",
            expected="a beginning before the end",
            fix="holdfast shadow --since 2026-03-01 --until 2026-03-08",
        )
    return Window(since=begin, until=end, rows=rows, labels=labels)


def run_lines(run: ShadowRun) -> str:
    """Return how often the two differ, and in what most."""
    differ = len(run.different)
    share = differ / run.n
    pairs = Counter((answer_text(d.champion), answer_text(d.challenger)) for d in run.different)
    return "\n".join(
        [
            f"version {run.challenger} beside champion {run.champion}",
            f"both answered {counted(run.n, 'row')}, {differ} of them differently ({share:.1%})",
            f"left out: {counted(run.n_repeated, 'repeat')}, {run.n_unread} that could not be read",
            *(f"  {n}x {one} -> {other}" for (one, other), n in pairs.most_common(_SHOWN)),
        ]
    )


def labelled_lines(found: Labelled) -> str:
    """Return what the labels say, or how many are missing."""
    if found.evidence is None:
        return f"{counted(found.n_labels, 'label')}, {found.n_waiting} still wait for one"
    e = found.evidence
    gain = (e.n_candidate_better - e.n_champion_better) / e.n
    return (
        f"of {counted(e.n, 'row')} version {found.run.challenger} answers {e.n_candidate_better} "
        f"better and {e.n_champion_better} worse than the champion: {gain:+.4f}\n"
        "the gate weighs it as shadow/better_answers when the candidate is judged next: "
        f"holdfast judge {found.run.challenger}"
    )
