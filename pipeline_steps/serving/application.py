"""The service over HTTP: FastAPI's routes, request ids, refusals and OpenAPI."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from pipeline_steps import __version__
from pipeline_steps.errors import TrafficError
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.serving import identifiers, label_queue
from pipeline_steps.serving.bodies import Feedback, PredictBody, read_labels, validated
from pipeline_steps.serving.label_queue import (
    PAGE_HEADERS,
    LabelQueue,
    Skipped,
    queue_page,
)
from pipeline_steps.serving.openapi import (
    answer_schema,
    described,
    described_page,
    described_queue,
)
from pipeline_steps.serving.rate_limit import client_rates
from pipeline_steps.serving.refusals import (
    TOO_LARGE,
    UNKNOWN,
    RefusedRequestError,
    broke,
    no_route,
    not_logged,
    not_read,
    too_late,
)
from pipeline_steps.serving.service import Service
from pipeline_steps.serving.swapping import ChampionWatch
from pipeline_steps.serving.tickets import Answer

_REQUEST_ID = "X-Request-Id"
_SOUND_ID = re.compile(r"[\x21-\x7e]{1,128}")
_JSON = "application/json"
_OK, _UNAVAILABLE, _BROKEN = 200, 503, 500
_GONE = 499  # as nginx counts a client that leaves before its answer; nobody receives it
_ELSEWHERE = "elsewhere"  # paths that clients make up are no labels of a metric
_LOG = logging.getLogger(__name__)
T = TypeVar("T")
Handler = Callable[[Request, str], Awaitable[Any]]


class Endpoints:
    """What each path answers."""

    def __init__(
        self, service: Service, problem: str, queue: LabelQueue | None, shared: Path | None
    ) -> None:
        self.service = service
        self.queue = queue or LabelQueue(lambda _n, _after: (), lambda _names: 0)
        self.problem = problem
        self.body = PredictBody(problem, service.params)
        self.outputs = [field.name for field in get_problem(problem).outputs]
        self.rates = client_rates(service.params.rows_per_minute, shared)

    async def predict(self, request: Request) -> Response:
        """Answer the rows, in their order; each answer is in the traffic log before it is given."""
        return await self._answered(request, self._predict)

    async def feedback(self, request: Request) -> Response:
        """Keep late labels of predictions that were answered before; all of them or none."""
        return await self._answered(request, self._feedback)

    async def health(self) -> Response:
        """Answer 200 while the process works, ready or not, and the precision of what answers."""
        failed, model = self.service.failed, self.service.model
        found: dict[str, Any] = {"status": "failed" if failed else "ok"}
        if model is not None:
            found["precision"] = dict(model.precision)
        return _response(found, _BROKEN if failed else _OK)

    async def ready(self) -> Response:
        """Answer 200 when requests are answered, and by which version; else 503."""
        model = self.service.model
        if model is None or not self.service.ready:
            return _response({"status": "loading"}, _UNAVAILABLE, {"Retry-After": "1"})
        if self.service.commits.behind:
            waits = {"status": "waiting for the traffic log"}
            return _response(waits, _UNAVAILABLE, {"Retry-After": "5"})
        return _response({"status": "ready", "model": model.name, "version": model.version}, _OK)

    async def metrics(self) -> Response:
        """Answer the numbers of the service in Prometheus' text format."""
        metrics = self.service.metrics
        metrics.waiting_rows.set(len(self.service.waiting))
        return Response(metrics.text(), media_type=metrics.content_type)

    async def labels(self, request: Request) -> Response:
        """Answer rows that wait for a label, those that ``holdfast monitor labels`` writes."""
        response = await self._answered(request, self._labels)
        response.headers["Cache-Control"] = "no-store"
        return response

    async def skip(self, request: Request) -> Response:
        """Ask no longer for labels of rows of which nobody can tell the right answer."""
        return await self._answered(request, self._skip)

    async def label_page(self) -> Response:
        """Answer the page on which a person labels these rows."""
        return Response(label_queue.page(), media_type="text/html", headers=PAGE_HEADERS)

    async def _labels(self, request: Request, request_id: str) -> Any:
        try:
            reading = asyncio.to_thread(queue_page, self.queue.asked, request.query_params)
            page = await self._in_time(reading)
        except TrafficError as error:
            _LOG.exception("the queue of labels cannot be read")
            raise not_read() from error
        return {"request_id": request_id, **page}

    async def _skip(self, request: Request, request_id: str) -> Any:
        names = validated(Skipped, await self._content(request)).prediction_ids
        self._spend(request, "labels", len(names))
        try:
            skipped = await self._in_time(asyncio.to_thread(label_queue.skip, self.queue, names))
        except TrafficError as error:
            raise not_logged() from error
        return {"request_id": request_id, "skipped": skipped}

    async def _predict(self, request: Request, request_id: str) -> Any:
        requests, sender = self.body.read(await self._content(request))
        self._spend(request, "rows", len(requests))
        future = self.service.submit(requests, request_id, sender)
        answers = await self._in_time(asyncio.wrap_future(future))
        return {"request_id": request_id, "predictions": [self._said(a) for a in answers]}

    def _spend(self, request: Request, what: str, n: int) -> None:
        if what in self.rates:
            self.rates[what].spend(request.client.host if request.client else "", n)

    def _said(self, answer: Answer) -> dict[str, Any]:
        kept = answer.logged
        identity = {
            "prediction_id": kept.prediction_id,
            "model": kept.model_name,
            "version": kept.version,
        }
        return {**identity, **{name: answer.said[name] for name in self.outputs}}

    async def _in_time(self, coming: Awaitable[T]) -> T:
        """Return what is waited for; what comes too late is given up."""
        seconds = self.service.params.answer_seconds
        try:
            return await asyncio.wait_for(coming, seconds)
        except TimeoutError as error:
            raise too_late(seconds) from error

    async def _feedback(self, request: Request, request_id: str) -> Any:
        self.service.refuse_while_behind()
        labels = read_labels(self.problem, await self._content(request))
        self._spend(request, "labels", len(labels))
        try:
            adding = asyncio.to_thread(self.service.log.add_labels, labels)
            added = await self._in_time(adding)
        except TrafficError as error:
            if error.__cause__ is not None:  # the database's own error
                raise not_logged() from error
            raise RefusedRequestError(
                UNKNOWN, error.received, expected=error.expected, fix=error.fix
            ) from error
        self.service.metrics.labels.inc(added)
        return {"request_id": request_id, "added": added}

    async def _content(self, request: Request) -> bytes:
        """Return the body; one that is too large is not read to its end."""
        limit = self.service.params.max_body_bytes
        parts, size = [], 0
        async for part in request.stream():
            parts.append(part)
            size += len(part)
            if size > limit:
                raise RefusedRequestError(
                    TOO_LARGE,
                    f"a body of more than {limit} bytes",
                    expected=f"at most {limit} bytes (serve.max_body_bytes)",
                    fix="send fewer or shorter rows at once",
                )
        return b"".join(parts)

    async def _answered(self, request: Request, handle: Handler) -> Response:
        """Return the response of a handler, or its refusal; both carry the request's id."""
        began, path = time.perf_counter(), request.url.path
        request_id = _id_of(request)
        try:
            response = _response(await handle(request, request_id), _OK)
        except RefusedRequestError as refusal:
            response = _refused(refusal, request_id)
        except ClientDisconnect:
            response = Response(status_code=_GONE)
        except Exception as error:  # noqa: BLE001 - told in full; the client has an id to name
            _LOG.exception("request %s failed", request_id)
            response = _refused(broke(error), request_id)
        response.headers[_REQUEST_ID] = request_id
        self.service.metrics.requests.labels(path, str(response.status_code)).inc()
        self.service.metrics.request_seconds.observe(time.perf_counter() - began)
        return response

    async def unknown(self, request: Request, error: Exception) -> Response:
        """Refuse a request that no route answers, as any other is refused."""
        found, request_id = cast("HTTPException", error), _id_of(request)
        headers = dict(found.headers or {})
        known = {str(getattr(route, "path", "")) for route in request.app.routes}
        refusal = no_route(found.status_code, request.method, request.url.path, known, headers)
        response = _refused(refusal, request_id)
        response.headers.update({**headers, _REQUEST_ID: request_id})
        self.service.metrics.requests.labels(_ELSEWHERE, str(response.status_code)).inc()
        return response


def build_application(
    service: Service,
    problem: str,
    watch: ChampionWatch,
    queue: LabelQueue | None = None,
    shared: Path | None = None,
) -> FastAPI:
    """Return the application of a service; its lifespan starts and ends the service's threads.

    With ``queue`` it shows the rows to label, texts and all. In the directory ``shared`` several
    workers count together what a client may ask.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        watch.start()
        try:
            yield
        finally:
            await asyncio.to_thread(watch.close)
            await asyncio.to_thread(service.close)

    application = FastAPI(
        title="Holdfast", version=__version__, lifespan=lifespan, redoc_url=None,
        description=f"Answers {problem.replace('_', ' ')} with the champion of the registry.",
    )  # fmt: skip
    endpoints = Endpoints(service, problem, queue, shared)
    application.add_exception_handler(HTTPException, endpoints.unknown)
    answers = answer_schema(get_problem(problem).outputs)
    for path, endpoint, extra in (
        ("/predict", endpoints.predict, described(endpoints.body.schema(), answers)),
        ("/feedback", endpoints.feedback, described(Feedback.model_json_schema(), None)),
    ):
        application.add_api_route(path, endpoint, methods=["POST"], **extra)
    for path, ask in (
        ("/health", endpoints.health),
        ("/ready", endpoints.ready),
        ("/metrics", endpoints.metrics),
    ):
        application.add_api_route(path, ask, methods=["GET"])
    if queue is not None:
        application.add_api_route("/labels", endpoints.labels, **described_queue())
        skipping = described(Skipped.model_json_schema(), None, "skipped")
        application.add_api_route("/labels/skip", endpoints.skip, methods=["POST"], **skipping)
        application.add_api_route("/labels/page", endpoints.label_page, **described_page())
    return application


def _id_of(request: Request) -> str:
    asked = request.headers.get(_REQUEST_ID, "")
    return asked if _SOUND_ID.fullmatch(asked) else identifiers.request_id()


def _response(content: Any, status: int, headers: dict[str, str] | None = None) -> Response:
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    return Response(text, status_code=status, media_type=_JSON, headers=headers)


def _refused(refusal: RefusedRequestError, request_id: str) -> Response:
    error = {
        "received": refusal.received,
        "expected": refusal.expected,
        "fix": refusal.fix,
    }
    after = refusal.retry_after
    headers = None if after is None else {"Retry-After": str(after)}
    return _response({"request_id": request_id, "error": error}, refusal.status, headers)
