"""What a service sends: JSON, refusals in three sentences, and the request's id on all of it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from fastapi import Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route

from pipeline_steps.serving import identifiers
from pipeline_steps.serving.refusals import UNKNOWN, RefusedRequestError, not_allowed, not_found

REQUEST_ID = "X-Request-Id"
_SOUND_ID = re.compile(r"[\x21-\x7e]{1,128}")
_JSON = "application/json"


def id_of(request: Request) -> str:
    """Return the id that a request brings, or a new one where it brings none that is sound."""
    asked = request.headers.get(REQUEST_ID, "")
    return asked if _SOUND_ID.fullmatch(asked) else identifiers.request_id()


def json_response(content: Any, status: int, headers: dict[str, str] | None = None) -> Response:
    """Return a value as a response, in ASCII."""
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    return Response(text, status_code=status, media_type=_JSON, headers=headers)


def refused(refusal: RefusedRequestError, request_id: str) -> Response:
    """Return a refusal as a response: its status, its three sentences, when to come again."""
    error = {
        "received": refusal.received,
        "expected": refusal.expected,
        "fix": refusal.fix,
    }
    after = refusal.retry_after
    headers = None if after is None else {"Retry-After": str(after)}
    return json_response({"request_id": request_id, "error": error}, refusal.status, headers)


def without_route(
    request: Request, error: HTTPException, routes: Sequence[BaseRoute], request_id: str
) -> Response:
    """Return the refusal of a request that no route answers: of its path, or of its method."""
    path = request.url.path
    known = [route for route in routes if isinstance(route, Route)]
    if error.status_code == UNKNOWN:
        response = refused(not_found(path, [route.path for route in known]), request_id)
    else:
        fitting = [route for route in known if route.matches(request.scope)[0] != Match.NONE]
        methods = {method for route in fitting for method in route.methods or ()}
        refusal = not_allowed(error.status_code, request.method, path, sorted(methods))
        response = refused(refusal, request_id)
    response.headers.update(error.headers or {})
    return response
