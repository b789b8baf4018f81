"""The loop as Prefect runs it: monitor, retrain, promote and approval, and when each starts.

A verdict is in the ledger before its event is emitted, and the event carries an id only: the flow
that it starts asks the ledger. An event that is lost (a dead server, a template that fails) costs
time and nothing else, because every scheduled retrain sweeps the verdicts that never got a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from prefect import flow, task
from prefect.blocks.core import Block
from prefect.blocks.notifications import AppriseNotificationBlock
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger, emit_event
from prefect.exceptions import ObjectAlreadyExists
from prefect.flows import Flow
from prefect.settings import PREFECT_API_URL
from prefect.types.entrypoint import EntrypointType

from flows.commands.champion import promote_by_hand, promotion_lines
from flows.commands.monitor import run_monitor
from flows.commands.retrain import run_retrain
from flows.monitor import MonitorResult
from flows.notifying import Message, failure_told, notify, of_monitor, of_retrain
from flows.orchestrated import (
    MODEL_RESOURCE,
    REQUESTED,
    approval,
    call_as_task,
    requests_told,
)
from flows.pipeline import say
from flows.retraining.recording import RetrainResult
from flows.workspace import Workspace
from pipeline_steps.drift_types import RetrainVerdict
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.types import Value

CONFIRMED = "drift.confirmed"
_QUIET = timedelta(seconds=60)
_PATIENCE = timedelta(minutes=15)
"""A retrain waits so long for another command at work, such as a monitor's first reference."""


class Schedules(Value):
    """When the scheduled flows start (cron, UTC); ``None``: never by schedule."""

    monitor: str | None = "*/15 * * * *"
    retrain: str | None = "7 3 * * 1"  # not when the monitor starts: both want the processor


@flow(name="monitor", persist_result=False)
def monitor(directory: str = ".") -> MonitorResult:
    """Return what the traffic since the last run shows; harm that is confirmed is an event."""
    workspace = Workspace.open(Path(directory))
    with failure_told(workspace, "monitor", _tell):
        result = run_monitor(workspace, call_as_task)
    if result.decision.verdict is RetrainVerdict.RETRAIN:
        emit_confirmed(result.decision.model_name, result.decision.decision_id)
    _tell(workspace, of_monitor(result))
    return result


@flow(name="retrain", persist_result=False)
def retrain(directory: str = ".", *, decision: str | None = None) -> list[RetrainResult]:
    """Return what became of a drift decision, or of the labels that came since.

    Whatever started it, interrupted retrains and decisions that never got a run come first.
    Another command at work is waited for.
    """
    workspace = replace(Workspace.open(Path(directory)), patience=_PATIENCE)
    with failure_told(workspace, "retrain", _tell), requests_told(workspace, _tell):
        results = run_retrain(
            workspace,
            trigger=decision,
            scheduled=decision is None,
            sweep=True,
            call=call_as_task,
        )
    _tell(workspace, of_retrain(results))
    return results


@flow(name="promote", persist_result=False)
def promote(version: int, directory: str = ".") -> str:
    """Return what a promotion on the gate's verdict in the ledger did."""
    workspace = Workspace.open(Path(directory))
    with failure_told(workspace, "promote", _tell):
        said = promotion_lines(promote_by_hand(workspace, version, override=None))
    _tell(workspace, Message(subject="promote", body=said))
    return said


def emit_confirmed(model_name: str, decision: str) -> None:
    """Say that harm is confirmed; the verdict must be in the ledger already.

    The same decision is the same event, however often it is said: its id follows from it. An
    unreachable server loses the event without an error: the next scheduled retrain finds the
    verdict all the same.
    """
    emit_event(
        event=CONFIRMED,
        resource={"prefect.resource.id": f"{MODEL_RESOURCE}.{model_name}"},
        payload={"decision": decision},
        id=event_id(model_name, decision),
    )


def event_id(model_name: str, decision: str) -> UUID:
    """Return the id of the event that a decision about a model is.

    Examples
    --------
    >>> event_id("desk", "decision-1") == event_id("desk", "decision-1")
    True
    """
    return uuid5(NAMESPACE_URL, f"holdfast/{model_name}/{decision}")


def deployments(
    root: Path, schedules: Schedules, *, pool: str | None, model_name: str
) -> list[RunnerDeployment]:
    """Return the deployments of a workspace: monitor, retrain, promote and approval.

    The triggers of ``retrain`` and ``approval`` are for this model alone. Their window only spares
    flow runs: that of many events one is acted on is the ledger's to see to.
    """
    where: dict[str, Any] = {
        "entrypoint_type": EntrypointType.MODULE_PATH,
        "work_pool_name": pool,
        "parameters": {"directory": str(root)},
        "tags": ["holdfast", model_name],
    }
    return [
        _deployment(
            monitor,
            model_name,
            cron=schedules.monitor,
            concurrency_limit=1,
            description="Traffic since the last run beside its reference; tickets, the verdict.",
            **where,
        ),
        _deployment(
            retrain,
            model_name,
            cron=schedules.retrain,
            triggers=[_on_event(CONFIRMED, root, model_name, carries="decision")],
            concurrency_limit=1,
            description="New labelled rows, judged, promoted, and whether it helped.",
            **where,
        ),
        _deployment(
            promote,
            model_name,
            description="Promote a version on the gate's verdict in the ledger.",
            **{**where, "parameters": {"directory": str(root), "version": 1}},
        ),
        _deployment(
            approval,
            model_name,
            triggers=[_on_event(REQUESTED, root, model_name, carries="version")],
            description="Wait for a person's answer about a version, in a form or elsewhere.",
            **{**where, "parameters": {"directory": str(root), "version": 1}},
        ),
    ]


def _on_event(event: str, root: Path, model_name: str, *, carries: str) -> DeploymentEventTrigger:
    """Return what starts a flow with what an event about this model carries."""
    return DeploymentEventTrigger(
        name=f"{event} of {model_name}",
        expect={event},
        match={"prefect.resource.id": f"{MODEL_RESOURCE}.{model_name}"},
        posture="Reactive",
        threshold=1,
        within=_QUIET,
        parameters={
            "directory": str(root),
            carries: {"__prefect_kind": "jinja", "template": f"{{{{ event.payload.{carries} }}}}"},
        },
    )


def _deployment(of: Flow[Any, Any], name: str, **settings: Any) -> RunnerDeployment:
    made = of.to_deployment(name, **settings)
    if not isinstance(made, RunnerDeployment):  # a coroutine where an event loop runs
        raise TypeError("deployments are made outside of an event loop")
    return made


def checked_cron(asked: str) -> str:
    """Return a schedule that Prefect can read.

    Raises
    ------
    ConfigurationError
        If it is not one.
    """
    try:
        return CronSchedule(cron=asked).cron
    except ValueError as error:
        raise ConfigurationError(
            f"no schedule: {asked!r}",
            expected="cron in UTC (minute, hour, day, month, day of the week), or never",
            fix="such as '7 3 * * 1' for Mondays at 3:07",
        ) from error


def check_server() -> None:
    """Ask the Prefect server that is set whether it answers.

    Raises
    ------
    ConfigurationError
        If none is set, nothing answers there, or what answers is no Prefect server.
    """
    address: str | None = PREFECT_API_URL.value()
    if not address:
        raise ConfigurationError(
            "PREFECT_API_URL is not set: schedules and events need a server that stays",
            expected="the address of a Prefect server, such as http://127.0.0.1:4200/api",
            fix="prefect server start, then PREFECT_API_URL=http://127.0.0.1:4200/api "
            "holdfast deploy",
        )
    with get_client(sync_client=True) as client:
        wrong = client.api_healthcheck()
    if wrong is not None:
        raise ConfigurationError(
            f"no Prefect server answers at {address}: {wrong}",
            expected="a server that runs, at the address in PREFECT_API_URL",
            fix="prefect server start; its address ends in /api",
        ) from wrong


def apply(found: Sequence[RunnerDeployment], pool: str | None) -> list[str]:
    """Return the names of deployments after they and their work pool are known to the server."""
    if pool is not None:
        _ensure_pool(pool)
    for deployment in found:
        deployment.apply()
    return [f"{deployment.flow_name}/{deployment.name}" for deployment in found]


def _ensure_pool(name: str) -> None:
    """Make a work pool of processes where there is none of that name."""
    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=name, type="process"))
        except ObjectAlreadyExists:
            return


class EmailBlock(AppriseNotificationBlock):
    """Mail through any SMTP server.

    ``prefect block register -m flows.deployments`` makes it known. The URL is Apprise's:
    ``mailtos://USER:PASSWORD@smtp.example.org?from=holdfast@example.org&to=team@example.org``.
    """

    _block_type_name = "Holdfast E-mail"
    _block_type_slug = "holdfast-email"


def _tell(workspace: Workspace, message: Message | None) -> None:
    """Notify by the webhook and by the Prefect block that the settings name.

    A block that fails is a failed task of the run that others see, and stops nothing.
    """
    notify(workspace, message)
    block = workspace.settings.notify_block
    if block is None or message is None:
        return
    model = workspace.params.register_.model_name
    state = notify_block(block, message.body, f"{model}: {message.subject}", return_state=True)
    if not state.is_completed():
        say(f"holdfast: the block {block} took no notification: {state.message}")


@task(name="notify", cache_policy=NO_CACHE, persist_result=False)
def notify_block(block: str, body: str, subject: str) -> None:
    """Send a message through a notification block, such as ``slack-webhook/ops``."""
    loaded: Any = Block.load(block)
    loaded.notify(body, subject=subject)
