"""Says that a version waits for a person: to people, and to the flow that asks them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import NAMESPACE_URL, uuid5

from prefect.events import emit_event

from flows.notifying import Message, Tell, notify
from flows.registry_access import open_ledger
from flows.workspace import Workspace
from pipeline_steps.registry.approvals import Approval, approvals

REQUESTED = "approval.requested"
MODEL_RESOURCE = "holdfast.model"


@contextmanager
def requests_told(workspace: Workspace, tell: Tell = notify) -> Iterator[None]:
    """Tell people, and emit an event, of each request for approval that the block makes.

    The event carries the number of the version and nothing else: the flow that it starts asks the
    ledger. Where the event is lost, ``holdfast approve`` and ``holdfast refuse`` answer as well.
    """
    before = _waiting(workspace)
    yield
    for entry, request in _waiting(workspace).items():
        if entry not in before:
            emit_requested(request)
            tell(workspace, of_request(request))


def emit_requested(request: Approval) -> None:
    """Say that a version waits; the same request is the same event."""
    name = request.request.model_name
    emit_event(
        event=REQUESTED,
        resource={"prefect.resource.id": f"{MODEL_RESOURCE}.{name}"},
        payload={"version": request.version},
        id=uuid5(NAMESPACE_URL, f"{REQUESTED}/{request.request.entry_hash}"),
    )


def of_request(request: Approval) -> Message:
    """Return what people are told of a version that waits for one of them."""
    number, until = request.version, f"{request.expires_at:%Y-%m-%d %H:%M} UTC"
    return Message(
        subject=f"version {number} waits for approval",
        body=f"refused by itself on {until}; holdfast approve {number}, or refuse {number}",
    )


def _waiting(workspace: Workspace) -> dict[str, Approval]:
    """Return the requests without an answer, by the hash of their entry."""
    found = approvals(open_ledger(workspace), workspace.params.register_.model_name)
    return {a.request.entry_hash: a for a in found if a.state == "waiting"}
