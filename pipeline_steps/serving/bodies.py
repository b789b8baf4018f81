"""What a request's body may say, for each problem, and how it is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    WithJsonSchema,
    create_model,
)

from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.problems.problem import Field as ProblemField
from pipeline_steps.problems.problem import Problem
from pipeline_steps.problems.right_answers import label_flaw
from pipeline_steps.serve_params import ServeParams
from pipeline_steps.serving.refusals import UNPROCESSABLE, RefusedRequestError
from pipeline_steps.serving.tickets import Request, Sender
from pipeline_steps.traffic_rows import Identifier, LateLabel, Moment

T = TypeVar("T")
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)
_Storable = Field(pattern=r"^[^\x00]*$")
"""A text in a column of its own: PostgreSQL keeps no NUL, and would refuse a whole transaction."""
_UNASKED = frozenset({"target_missing", "target_empty", "right_outside"})
"""What a row to be answered need not have."""
_NAMED = 5
_MESSAGES: dict[str, Any] = {
    "description": "Who says what, as a list, or as this list in a text.",
    "anyOf": [{"type": "array", "items": {"type": "object"}}, {"type": "string"}],
}
_CLOCKS_APART = timedelta(minutes=5)


def _past(moment: datetime) -> datetime:
    """Return a time that has come: of two labels the later one stands, and nobody corrects it."""
    if moment > datetime.now(UTC) + _CLOCKS_APART:
        raise ValueError("it is in the future")
    return moment


class GivenLabel(BaseModel):
    """A late label as a client sends it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prediction_id: Identifier
    label: JsonValue = Field(description="The right answer, or a mapping of its column to it.")
    labelled_at: Annotated[Moment, AfterValidator(_past)] | None = None
    source: Annotated[str, _Storable] = Field(default="feedback", max_length=200)


class Feedback(BaseModel):
    """Late labels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: Annotated[list[GivenLabel], Field(min_length=1, max_length=10_000)]

    def late_labels(self) -> list[LateLabel]:
        """Return the labels; one without a time is of now."""
        now = datetime.now(UTC)
        return [
            LateLabel(
                prediction_id=given.prediction_id,
                label=given.label,
                labelled_at=given.labelled_at or now,
                source=given.source,
            )
            for given in self.labels
        ]


def read_labels(problem: str, body: bytes) -> list[LateLabel]:
    """Return the late labels that a body holds.

    Raises
    ------
    RefusedRequestError
        If it holds none, or some that fit no answer of the problem; the first ones are named.
    """
    labels: list[LateLabel] = validated(Feedback, body).late_labels()
    flaws = [label_flaw(problem, late.label) for late in labels]
    found = [f"labels.{n}.label: {flaw}" for n, flaw in enumerate(flaws) if flaw is not None]
    if found:
        raise RefusedRequestError(
            UNPROCESSABLE,
            _some(found),
            expected=f"what {problem} answers, or a mapping of the column that holds it",
            fix="mend the labels named above, or leave them out, and send the request again",
        )
    return labels


class PredictBody:
    """The body of ``/predict`` for a problem, under the limits of a workspace."""

    def __init__(self, problem: str, params: ServeParams) -> None:
        self.problem: Problem = get_problem(problem)
        self.row = _row_model(self.problem, params.max_characters)
        rows = Annotated[list[self.row], Field(min_length=1, max_length=params.max_rows)]  # type: ignore[name-defined]
        name = Annotated[str, _Storable, Field(min_length=1, max_length=128)]
        said: dict[str, Any] = dict.fromkeys(Sender._fields, (name | None, None))
        self.model: type[BaseModel] = create_model(
            "PredictBody", __config__=_STRICT, inputs=(rows, ...), **said
        )

    def read(self, body: bytes) -> tuple[list[Request], Sender]:
        """Return the rows to be answered, and their segment and session.

        Raises
        ------
        RefusedRequestError
            If they are none that a model of the problem reads; all that is wrong, up to some.
        """
        content: Any = validated(self.model, body)
        requests = [row.model_dump(exclude_none=True) for row in content.inputs]
        for place, request in enumerate(requests):
            self._refuse_unreadable(place, request)
        return requests, Sender(content.segment, content.session)

    def schema(self) -> dict[str, Any]:
        """Return the body's JSON schema, without references."""
        schema = self.model.model_json_schema()
        row = schema.pop("$defs")[self.row.__name__]
        schema["properties"]["inputs"]["items"] = row
        return schema

    def _refuse_unreadable(self, place: int, request: Request) -> None:
        try:
            content = self.problem.example(request)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _unreadable(f"inputs.{place}: {error!r}", self.problem) from error
        texts = {
            "text": content.text,
            "text_pair": content.text_pair,
            "target": content.target,
        }
        if not all(_is_whole(text) for text in texts.values() if text is not None):
            raise _unreadable(f"inputs.{place}: half of a surrogate pair", self.problem)
        row: Mapping[str, Any] = {**texts, "label": None}
        flaws = [flaw for flaw in self.problem.find_flaws(row) if flaw not in _UNASKED]
        if flaws:
            raise _unreadable(f"inputs.{place}: {', '.join(flaws)}", self.problem)


def validated(model: type[BaseModel], body: bytes) -> Any:
    """Return a body as a model.

    Raises
    ------
    RefusedRequestError
        With what is wrong with it.
    """
    return checked(lambda: model.model_validate_json(body))


def checked(validate: Callable[[], T]) -> T:
    """Return what a validation returns.

    Raises
    ------
    RefusedRequestError
        With all that it found, up to some.
    """
    try:
        return validate()
    except ValidationError as error:
        found = [f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors()]
        raise RefusedRequestError(
            UNPROCESSABLE,
            _some(found),
            expected="a request as /docs shows it",
            fix="mend the fields named above and send the request again",
        ) from error


def _some(found: list[str]) -> str:
    more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return "; ".join(found[:_NAMED]) + more


def _is_whole(text: str) -> bool:
    """Return whether a text has all its characters: no tokenizer reads half of a surrogate pair.

    JSON within JSON may name one; the parser of the body lets none pass.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unreadable(received: str, problem: Problem) -> RefusedRequestError:
    names = ", ".join(field.name for field in problem.inputs)
    return RefusedRequestError(
        UNPROCESSABLE,
        received,
        expected=f"rows with {names}, as /docs shows them",
        fix="mend this row or leave it out, and send the request again",
    )


def _row_model(problem: Problem, max_characters: int) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for field in problem.inputs:
        kind = _type_of(field, max_characters)
        fields[field.name] = (kind, ...) if field.required else (kind | None, None)
    return create_model("Row", __config__=_STRICT, **fields)


def _as_json(value: Any) -> Any:
    """Return a conversation that is a list as the JSON that the registered model reads."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


def _type_of(field: ProblemField, max_characters: int) -> Any:
    text = Annotated[str, Field(max_length=max_characters)]
    kinds: dict[str, Any] = {
        "string": text,
        "long": Annotated[int, Field(ge=0)],
        "double": float,
        "strings": Annotated[list[text], Field(min_length=1, max_length=max_characters)],
        "messages": Annotated[text, BeforeValidator(_as_json), WithJsonSchema(_MESSAGES)],
    }
    return kinds[field.kind]
