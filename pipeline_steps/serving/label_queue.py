"""The rows whose labels are asked for, in pages and to a person; those that nobody can label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pipeline_steps.errors import counted
from pipeline_steps.serving.bodies import checked
from pipeline_steps.serving.refusals import UNKNOWN, RefusedRequestError
from pipeline_steps.types import Value

Place = tuple[int, str, int]
"""Where a row stands in the queue: the row of its ticket's alarm, the ticket, its own number."""
MOST_ROWS = 500
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
}


class AskedRow(Value):
    """A row that waits for a label.

    ``answer`` is the model's, as the file of ``holdfast monitor labels`` has it. ``choices`` are
    the labels that the model chose from, where it is one label; else ``draft`` is its answer in the
    form in which ``/feedback`` takes the right one.
    """

    place: Place
    prediction_id: str
    text: str
    answer: str
    choices: tuple[str, ...] = ()
    draft: str = ""


Asked = Callable[[int, Place | None], Sequence[AskedRow]]
"""Returns at most so many rows that stand behind a place, in the order of the queue."""


@dataclass(frozen=True)
class LabelQueue:
    """What a service asks for the rows, and tells of them.

    ``skip`` marks those of some predictions that wait for a label as rows that nobody can label,
    and returns how many those were.
    """

    asked: Asked
    skip: Callable[[Sequence[str]], int]


class Skipped(BaseModel):
    """Predictions whose right answer nobody can tell."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prediction_ids: Annotated[list[str], Field(min_length=1, max_length=MOST_ROWS)]


def _place(cursor: str) -> str:
    place_of(cursor)
    return cursor


class QueueQuery(BaseModel):
    """Which rows are asked for: some at once, behind the ones that were shown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Annotated[int, Field(ge=1, le=MOST_ROWS)] = 50
    after: Annotated[str, AfterValidator(_place)] | None = None


def queue_page(asked: Asked, query: Mapping[str, str]) -> dict[str, Any]:
    """Return a page of the queue; ``next`` is the ``after`` of the one behind it, or null.

    Raises
    ------
    RefusedRequestError
        If the query asks for something else.
    """
    wanted: QueueQuery = checked(lambda: QueueQuery.model_validate(dict(query)))
    after = None if wanted.after is None else place_of(wanted.after)
    rows = asked(wanted.limit + 1, after)
    shown = rows[: wanted.limit]
    return {
        "rows": [_shown(row) for row in shown],
        "next": cursor_of(shown[-1].place) if len(rows) > len(shown) else None,
    }


def skip(queue: LabelQueue, names: Sequence[str]) -> int:
    """Return how many rows wait for a label no longer, since nobody can tell it.

    Raises
    ------
    RefusedRequestError
        If none of them waited for one.
    """
    if n := queue.skip(names):
        return n
    raise RefusedRequestError(
        UNKNOWN,
        f"{counted(len(names), 'prediction')} for which no label is asked",
        expected="predictions that /labels shows",
        fix="ask /labels which rows wait now",
    )


def page() -> str:
    """Return the page on which a person labels: one file that needs nothing but the service."""
    return (files(__package__) / "templates" / "labels.html").read_text(encoding="utf-8")


def cursor_of(place: Place) -> str:
    """Return a place as the cursor of a query.

    Examples
    --------
    >>> cursor_of((7, "drift-1", 3)), place_of("7-3-drift-1")
    ('7-3-drift-1', (7, 'drift-1', 3))
    """
    alarm, ticket, position = place
    return f"{alarm}-{position}-{ticket}"


def place_of(cursor: str) -> Place:
    """Return the place that a cursor says.

    Raises
    ------
    ValueError
        If it says none.
    """
    alarm, position, ticket = ([*cursor.split("-", 2), "", ""])[:3]
    if not (alarm.isdecimal() and position.isdecimal() and ticket):
        raise ValueError("no cursor that a page named as next")
    return int(alarm), ticket, int(position)


def _shown(row: AskedRow) -> dict[str, Any]:
    return {"ticket": row.place[1], **row.model_dump(mode="json", exclude={"place"})}
