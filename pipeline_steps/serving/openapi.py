"""What OpenAPI says of the routes, made from the problem's fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline_steps.problems.problem import Field
from pipeline_steps.serving.label_queue import MOST_ROWS

_KINDS: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "long": {"type": "integer"},
    "double": {"type": "number"},
    "strings": {"type": "array", "items": {"type": "string"}},
    "doubles": {"type": "object", "additionalProperties": {"type": "number"}},
}
_ASKED_ROW = {
    **dict.fromkeys(("ticket", "prediction_id", "text", "answer", "draft"), _KINDS["string"]),
    "choices": _KINDS["strings"],
}
_QUERY: dict[str, Any] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": MOST_ROWS, "default": 50},
    "after": {"type": "string", "description": "What the page before named as next"},
}
_REFUSALS = {
    "404": "A prediction that is not in the log, or not asked about",
    "413": "The body is too large",
    "422": "The request is not what is expected",
    "429": "Too many rows or labels from this address; see Retry-After",
    "500": "The model fails on this row",
    "503": "Too many rows wait, no model is in place, or the log is slow; see Retry-After",
}
_REFUSAL = {
    "type": "object",
    "properties": {
        "request_id": {"type": "string"},
        "error": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("received", "expected", "fix")},
        },
    },
}


def answer_schema(outputs: Sequence[Field]) -> dict[str, Any]:
    """Return the JSON schema of what ``/predict`` answers."""
    fields = {
        "prediction_id": {"type": "string"},
        "model": {"type": "string"},
        "version": {"type": "integer"},
        **{field.name: _KINDS[field.kind] for field in outputs},
    }
    row = {"type": "object", "properties": fields, "required": list(fields)}
    return {
        "type": "object",
        "properties": {
            "request_id": {"type": "string"},
            "predictions": {"type": "array", "items": row},
        },
    }


def described(
    body: dict[str, Any], answer: dict[str, Any] | None, counts: str = "added"
) -> dict[str, Any]:
    """Return the arguments of a route that describe its body, answer and refusals.

    Without an answer of its own it counts something.
    """
    counted = {
        "type": "object",
        "properties": {"request_id": {"type": "string"}, counts: {"type": "integer"}},
    }
    known = set(_REFUSALS) - ({"404"} if answer else {"500"})
    return {
        "openapi_extra": {"requestBody": {"required": True, "content": _json(_inlined(body))}},
        "responses": {
            200: {"description": "Answered and logged", "content": _json(answer or counted)},
            **{
                int(status): {"description": _REFUSALS[status], "content": _json(_REFUSAL)}
                for status in sorted(known)
            },
        },
    }


def described_queue() -> dict[str, Any]:
    """Return the arguments of the route that shows the queue of labels."""
    page = {
        "request_id": _KINDS["string"],
        "rows": {"type": "array", "items": {"type": "object", "properties": _ASKED_ROW}},
        "next": {"type": ["string", "null"]},
    }
    parameters = [{"name": name, "in": "query", "schema": kind} for name, kind in _QUERY.items()]
    shown = _json({"type": "object", "properties": page})
    return {
        "openapi_extra": {"parameters": parameters},
        "responses": {
            200: {"description": "Rows that wait for a label", "content": shown},
            **{
                int(status): {"description": _REFUSALS[status], "content": _json(_REFUSAL)}
                for status in ("422", "503")
            },
        },
    }


def described_page() -> dict[str, Any]:
    """Return the arguments of the route that answers the page of labels."""
    content = {"text/html": {"schema": {"type": "string"}}}
    return {"responses": {200: {"description": "A page to label on", "content": content}}}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema whose references are replaced by what they name."""
    definitions = schema.get("$defs", {})

    def replaced(value: Any) -> Any:
        if isinstance(value, list):
            return [replaced(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            name = value["$ref"].rpartition("/")[2]
            return {} if name == "JsonValue" else replaced(definitions[name])
        return {key: replaced(item) for key, item in value.items() if key != "$defs"}

    inlined: dict[str, Any] = replaced(schema)
    return inlined
