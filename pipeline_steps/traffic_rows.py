"""What the traffic log holds: predictions as they were answered, and labels that came later."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, JsonValue

from pipeline_steps.types import Value

V = TypeVar("V", bound=Value)
_new: Any = object.__new__
_set_fields, _set_names, _set_extra, _set_private = (
    BaseModel.__dict__[f"__{name}__"].__set__
    for name in ("dict", "pydantic_fields_set", "pydantic_extra", "pydantic_private")
)


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("in UTC it is not within the years 1 to 9999") from error


Identifier = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,128}$")]
"""Visible ASCII, 1 to 128 characters: what every database and HTTP header can carry."""
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A time with a zone; kept in UTC, in microseconds."""
Finite = Annotated[float, Field(allow_inf_nan=False)]


class LoggedPrediction(Value):
    """One accepted prediction.

    ``example`` holds the inputs, or their redacted form; ``output`` is ``{"label": ...}`` for
    classification, else what the problem answers. ``probabilities`` (label -> probability) and
    ``confidence`` are ``None`` where the problem has none; so is ``embedding_digest`` where the
    model shows no hidden states. ``segment`` and ``session`` are what the client says: which
    channel, and which rows belong together.
    """

    prediction_id: Identifier
    request_id: Identifier
    created_at: Moment
    model_name: str
    version: int
    example: dict[str, Any]
    output: dict[str, Any]
    probabilities: dict[str, Finite] | None = None
    confidence: Finite | None = None
    segment: str | None = None
    embedding_digest: str | None = None
    session: str | None = None


class LateLabel(Value):
    """What the right answer to a prediction was, who said so and when."""

    prediction_id: Identifier
    label: JsonValue
    labelled_at: Moment
    source: str


class TrafficRow(Value):
    """A logged prediction with its place in the log, and its label once there is one."""

    sequence: int
    prediction: LoggedPrediction
    label: LateLabel | None = None


def unchecked(kind: type[V], fields: dict[str, Any]) -> V:
    """Return a value whose fields, all of them, were checked before: no second check is made.

    ``model_construct`` does the same and takes five times as long, since it asks each field for
    its alias and default.

    Examples
    --------
    >>> unchecked(TrafficRow, {"sequence": 1, "prediction": None, "label": None}).sequence
    1
    """
    value: V = _new(kind)
    _set_fields(value, fields)
    _set_names(value, _names_of(kind))
    _set_extra(value, None)
    _set_private(value, None)
    return value


@cache
def _names_of(kind: type[BaseModel]) -> set[str]:
    """Return one set for all values of a kind: they are frozen, so none of them changes it."""
    return set(kind.model_fields)
