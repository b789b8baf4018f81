"""Tells people through a webhook what the loop did; a dead webhook stops nothing."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from flows.commands.retrain import describe
from flows.monitor import MonitorResult
from flows.pipeline import say
from flows.retraining.recording import RetrainResult
from flows.workspace import Workspace
from pipeline_steps.drift_types import RetrainVerdict
from pipeline_steps.errors import BusyError, HoldfastError, UsageError
from pipeline_steps.registry.approvals import Approval
from pipeline_steps.types import Value

_SECONDS = 10
_SUBJECTS = {
    RetrainVerdict.RETRAIN: "drift confirmed",
    RetrainVerdict.REFUSE: "drift confirmed, and no retrain: a person must look",
}


class Message(Value):
    """What people are told."""

    subject: str
    body: str


Tell = Callable[[Workspace, Message], object]


def of_monitor(result: MonitorResult) -> Message | None:
    """Return what a run of the monitor has to tell: a new verdict that asks for something.

    Or that the champion does not answer. A verdict is told by the run that wrote it to the ledger,
    and not by those that find it there.
    """
    decision, other = result.decision, result.not_serving
    subjects: list[str] = []
    bodies: list[str] = []
    if other is not None and other.is_new:
        subjects, bodies = ["another version than the champion answers"], [other.reason]
    if decision.verdict in _SUBJECTS and decision.decision_id in result.recorded:
        subjects.append(_SUBJECTS[decision.verdict])
        bodies.append("; ".join(decision.reasons))
    return Message(subject="; ".join(subjects), body="\n".join(bodies)) if subjects else None


def of_retrain(results: Sequence[RetrainResult]) -> Message | None:
    """Return what triggers have to tell: what was retrained, and what a person must see to."""
    worth = [r for r in results if (r.run is not None and not r.reused) or r.answer == "REFUSE"]
    if not worth:
        return None
    refused = all(result.run is None for result in worth)
    subject = "retrain refused: a person must look" if refused else "retrain"
    return Message(subject=subject, body=describe(worth))


def of_request(request: Approval) -> Message:
    """Return what people are told of a version that waits for one of them."""
    number, until = request.version, f"{request.expires_at:%Y-%m-%d %H:%M} UTC"
    return Message(
        subject=f"version {number} waits for approval",
        body=f"refused by itself on {until}; holdfast approve {number}, or refuse {number}",
    )


def notify(workspace: Workspace, message: Message | None) -> bool:
    """Return whether ``HOLDFAST_NOTIFY_URL`` took a message; without one nothing is sent.

    What is sent is a JSON object with ``text``, as Slack, Mattermost and Teams take it, and
    ``model`` and ``subject`` beside it. No row of the data is in it.
    """
    url = workspace.settings.notify_url
    if url is None or message is None:
        return False
    model = workspace.params.register_.model_name
    content = {
        "text": f"{model}: {message.subject}\n{message.body}",
        "model": model,
        "subject": message.subject,
    }
    try:
        request = urllib.request.Request(  # noqa: S310 - the user's own address
            url, json.dumps(content).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=_SECONDS):  # noqa: S310
            return True
    except (urllib.error.URLError, OSError, ValueError) as error:
        say(f"holdfast: the notification was not taken: {error}")
        return False


@contextmanager
def failure_told(workspace: Workspace, what: str, tell: Tell = notify) -> Iterator[None]:
    """Tell people where the block fails, and let the error go on.

    Not of a command that was mistyped, nor of one that comes while another is at work.
    """
    try:
        yield
    except (UsageError, BusyError):
        raise
    except HoldfastError as error:
        tell(workspace, Message(subject=f"{what} failed", body=error.received))
        raise
