"""The only module that knows Prefect: the same pipelines with their steps as visible tasks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from prefect.events.worker import EventsWorker
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import prepare_data as preparation
from flows import train as training
from flows.approval import answer_in_a_form, lapse, waiting_request, waiting_requests
from flows.candidate import evaluate_suites
from flows.commands.champion import promote_by_hand
from flows.judging import judge
from flows.markdown import (
    approval_text,
    decision_table,
    metrics_table,
    report_link,
    validation_table,
)
from flows.notifying import Tell, notify, of_request
from flows.pipeline import Call, announcing, say, step_title
from flows.prefect_server import temporary_server
from flows.prepare_data import Datasets, read_datasets
from flows.record import start_run, write_report
from flows.results import TrainResult, find_finished
from flows.workspace import Workspace, locked
from pipeline_steps.registry.approvals import Approval

REQUESTED = "approval.requested"
MODEL_RESOURCE = "holdfast.model"
_DRAIN_SECONDS = 5
# Only calls to a tracking server can succeed on a second try; everything else is deterministic.
_RETRIES: dict[Callable[..., Any], int] = {find_finished: 2, start_run: 2}
_ARTIFACTS: dict[Callable[..., Any], tuple[str, Callable[[Any], str]]] = {
    read_datasets: ("validation", lambda datasets: validation_table(datasets.validation)),
    evaluate_suites: ("metrics", metrics_table),
    judge: ("decision", decision_table),
    write_report: ("report", report_link),
    find_finished: ("report", lambda found: "" if found is None else report_link(found.report)),
}


def call_as_task(step: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Return the step's result, run as a Prefect task that shows its artifact in the UI.

    Prefect's result cache stays off: it hashes paths, not the contents of files.
    """

    def run(*args: Any, **kwargs: Any) -> Any:
        result = step(*args, **kwargs)
        key, render = _ARTIFACTS.get(step, ("", None))
        text = render(result) if render is not None else ""
        if text:
            create_markdown_artifact(key=key, markdown=text)
        return result

    visible = task(
        name=step_title(step),
        description=step.__doc__,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=_RETRIES.get(step, 0),
        retry_delay_seconds=5,
    )(run)
    return visible(*args, **kwargs)


@contextmanager
def served() -> Iterator[None]:
    """Run the block with a Prefect server: the one that is set, or a temporary one."""
    if PREFECT_API_URL.value():
        yield
        return
    with temporary_server() as address, temporary_settings({PREFECT_API_URL: address}):
        try:
            yield
        finally:
            # They send in the background, and at exit would look for a server that is gone.
            APILogHandler().flush()
            EventsWorker.drain_all(timeout=_DRAIN_SECONDS)


@flow(name="prepare_data", persist_result=False)
def prepare_data(directory: str = ".", *, announced: bool = False) -> Datasets:
    """Return the datasets of the workspace in ``directory`` after its data stages have run."""
    workspace = Workspace.open(Path(directory))
    with locked(workspace):
        return preparation.prepare_data(workspace, call=_call(announced=announced))


@flow(name="train", persist_result=False)
def train(
    directory: str = ".", *, announced: bool = False, may_promote: bool = True
) -> TrainResult:
    """Return the result of training, judging, registering and, if due, promoting a candidate.

    With ``announced``, standard error says which step runs.
    """
    workspace = Workspace.open(Path(directory))
    with locked(workspace), requests_told(workspace):
        call = _call(announced=announced)
        return training.train(workspace, call=call, may_promote=may_promote)


@contextmanager
def requests_told(workspace: Workspace, tell: Tell = notify) -> Iterator[None]:
    """Tell people, and emit an event, of each request for approval that the block makes.

    The event carries the number of the version and nothing else: the flow that it starts asks the
    ledger. Where the event is lost, ``holdfast approve`` and ``holdfast refuse`` answer as well.
    """
    before = {request.request.entry_hash for request in waiting_requests(workspace)}
    yield
    for request in waiting_requests(workspace):
        if request.request.entry_hash not in before:
            emit_requested(request)
            tell(workspace, of_request(request))


def emit_requested(request: Approval) -> None:
    """Say that a version waits; the same request is the same event."""
    emit_event(
        event=REQUESTED,
        resource={"prefect.resource.id": f"{MODEL_RESOURCE}.{request.request.model_name}"},
        payload={"version": request.version},
        id=uuid5(NAMESPACE_URL, f"{REQUESTED}/{request.request.entry_hash}"),
    )


class Answer(RunInput):
    """What a person says in Prefect's form about a version that waits."""

    approve: bool
    by: str
    reason: str = "answered in Prefect"


@flow(name="approval", persist_result=False)
def approval(directory: str, version: int) -> str:
    """Return what became of a version that waits for a person: approved, refused or expired.

    The run is paused, with a link to the report, until somebody resumes it with an answer, at most
    until the request expires. The ledger holds the state: an answer that was given elsewhere in the
    meantime (``holdfast approve``) counts, and a contrary one is refused. Where two pairs of eyes
    are asked for, the form can only refuse.
    """
    workspace = Workspace.open(Path(directory))
    waiting = waiting_request(workspace, version)
    create_markdown_artifact(key="approval", markdown=approval_text(waiting))
    left = (waiting.expires_at - datetime.now(UTC)).total_seconds()
    timeout = max(1, math.ceil(left) + 1)  # a pause that ends too early finds it waiting still
    try:
        said = pause_flow_run(wait_for_input=Answer, timeout=timeout, poll_interval=2)
    except FlowPauseTimeout:
        lapse(workspace)
        return waiting_request(workspace, version, still=False).state
    found = answer_in_a_form(
        workspace, version, approve=said.approve, by=said.by, reason=said.reason
    )
    if said.approve:
        promote_by_hand(workspace, version, override=None)
    return found.state


def _call(*, announced: bool) -> Call:
    return announcing(call_as_task, say) if announced else call_as_task
