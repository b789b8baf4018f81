"""What may ask for a retrain, and its admission: the same trigger again is the same event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from flows.approval import lapse
from flows.registry_access import champion_version, open_ledger
from flows.retraining.dataset_version import RawFields, file_rows, fresh_rows
from flows.retraining.training_minutes import training_minutes
from flows.workspace import Workspace
from pipeline_steps.data_preparation.additions import ADDITIONS
from pipeline_steps.digests import file_digest, value_digest
from pipeline_steps.errors import ConfigurationError, UsageError
from pipeline_steps.params import Params
from pipeline_steps.registry.admission import Answer, Request, admit
from pipeline_steps.registry.ledger import LedgerEntry
from pipeline_steps.registry.retrain_history import (
    ADMITTED,
    FAILED,
    last_of,
    past_retrains,
    unfinished,
)
from pipeline_steps.types import Value

Kind = Literal["drift", "scheduled", "labelled"]
_SHOWN = 12
_TICKET = "drift-"


class Trigger(Value):
    """What asks for a retrain.

    ``ticket`` names a drift ticket, ``labelled`` a file of labelled rows; a scheduled trigger takes
    the labels that have come since. ``name`` is the id under which it was admitted before.
    """

    kind: Kind
    name: str | None = None
    ticket: str | None = None
    labelled: Path | None = None


def trigger_id(workspace: Workspace, trigger: Trigger, rows: Sequence[RawFields]) -> str:
    """Return the id of a trigger: the same ticket, file or rows give the same id.

    It names the model too, so that two models may share a ledger. What was admitted keeps its id,
    whatever labels have come since.
    """
    if trigger.name is not None:
        return trigger.name
    about: dict[str, Any] = {"model": workspace.params.register_.model_name, "kind": trigger.kind}
    if trigger.ticket is not None:
        about["ticket"] = trigger.ticket
        if attempt := _attempt(workspace, trigger.ticket, rows):
            about["attempt"] = attempt
    elif trigger.labelled is not None:
        about["file"] = file_digest(trigger.labelled)
    else:
        about["rows"] = value_digest([{k: str(v) for k, v in row.items()} for row in rows])
    return f"retrain-{value_digest(about)[:_SHOWN]}"


def _attempt(workspace: Workspace, ticket: str, rows: Sequence[RawFields]) -> int:
    """Return which attempt at a ticket this is, from 0: the last one again, or the next.

    The next begins where the last brought no new champion and as many rows have come since as a
    retrain needs; until then the ticket is the same event.
    """
    entries = open_ledger(workspace).entries(workspace.params.register_.model_name)
    runs = [run for run in past_retrains(entries) if run.ticket == ticket]
    if not runs:
        return 0
    n_triggers = len({run.trigger for run in runs})
    in_vain = runs[-1].outcome == "rejected"
    enough = len(fresh_rows(workspace, rows)) >= rows_needed(workspace.params)
    return n_triggers if in_vain and enough else n_triggers - 1


def ask(
    workspace: Workspace, trigger: Trigger, rows: Sequence[RawFields], *, now: datetime
) -> LedgerEntry:
    """Return the ledger's entry that admits a trigger with its labelled rows, or says why not.

    Raises
    ------
    ConfigurationError
        If there is no champion: what has never been trained cannot be retrained.
    """
    champion = champion_version(workspace)
    if champion is None:
        raise ConfigurationError(
            "there is no champion to retrain",
            expected="a model that was trained, judged and promoted",
            fix="holdfast train",
        )
    lapse(workspace)  # a request without an answer in time was refused
    fresh = fresh_rows(workspace, rows)
    params = workspace.params
    about = {
        "champion": champion.version,
        "ticket": trigger.ticket,
        "labelled": None if trigger.labelled is None else str(trigger.labelled),
    }
    request = Request(
        trigger=trigger_id(workspace, trigger, rows),
        kind=trigger.kind,
        n_fresh=len(fresh),
        needed=rows_needed(params),
        about=about,
        minutes=training_minutes(workspace, champion),
    )
    return admit(
        open_ledger(workspace),
        params.register_.model_name,
        request,
        params.retrain,
        actor=workspace.settings.actor,
        now=now.astimezone(UTC),
    )


def rows_needed(params: Params) -> int:
    """Return how many new labelled rows there must be to learn from and to judge on."""
    to_judge = round(params.gate.min_rows / params.retrain.held_back + 0.5)
    return max(params.retrain.min_rows, to_judge)


def labelled_rows(workspace: Workspace, trigger: Trigger) -> list[RawFields]:
    """Return the labelled rows that a trigger is about, as the workspace's raw files hold them.

    None of a trigger whose rows were written before it was interrupted: those stand.
    """
    if trigger.name is not None and (workspace.root / ADDITIONS / trigger.name).exists():
        return []
    if trigger.labelled is not None:
        return file_rows(trigger.labelled, workspace.params)
    from flows.retraining.traffic_rows import traffic_rows

    return traffic_rows(workspace, trigger.ticket)


def interrupted(workspace: Workspace) -> list[Trigger]:
    """Return the triggers that were admitted and have not ended, oldest first."""
    ledger = open_ledger(workspace)
    entries = ledger.entries(workspace.params.register_.model_name)
    return [
        Trigger(
            kind=entry.evidence["kind"],
            name=entry.evidence["trigger"],
            ticket=entry.evidence["ticket"],
            labelled=entry.evidence["labelled"],
        )
        for entry in unfinished(entries)
    ]


def never_run(workspace: Workspace) -> list[Trigger]:
    """Return drift verdicts that say RETRAIN, about today's champion, and got no run that ended.

    Their event was lost, its server was dead, the automation failed, or the run did. A ticket whose
    harm is confirmed no more, because a label was corrected, asks for nothing.
    """
    from flows.monitoring.verdicts import DRIFT_VERDICT

    name = workspace.params.register_.model_name
    champion = open_ledger(workspace).champion(name)
    entries = open_ledger(workspace).entries(name)
    admitted = {e.evidence["trigger"]: e.evidence["ticket"] for e in entries if e.event == ADMITTED}
    ends = {trigger: last_of(entries, trigger) for trigger in admitted}
    failed = {trigger for trigger, end in ends.items() if end is not None and end.event == FAILED}
    run = {ticket for trigger, ticket in admitted.items() if trigger not in failed}
    n_runs = Counter(e.evidence["ticket"] for e in entries if e.event == ADMITTED)
    tickets = Counter(
        str(e.evidence["ticket"])
        for e in entries
        if e.event == DRIFT_VERDICT
        and e.evidence["verdict"] == Answer.RETRAIN
        and e.evidence["version"] == champion
    )
    lost = [t for t, n_verdicts in tickets.items() if t not in run or n_verdicts > n_runs[t]]
    settled = _unharmful(workspace) if lost else set()
    return [Trigger(kind="drift", ticket=ticket) for ticket in lost if ticket not in settled]


def _unharmful(workspace: Workspace) -> set[str]:
    """Return the tickets that show no harm today."""
    from flows.monitoring.windows import open_store

    tickets = open_store(workspace).tickets(workspace.params.register_.model_name)
    return {ticket.ticket for ticket in tickets if not ticket.harmful}


def drift_trigger(workspace: Workspace, name: str) -> Trigger:
    """Return the trigger of a ticket, named by its own id or by that of the decision about it.

    Raises
    ------
    UsageError
        If the ledger knows no such decision that says RETRAIN.
    """
    from flows.monitoring.verdicts import DRIFT_VERDICT

    if name.startswith(_TICKET):
        return Trigger(kind="drift", ticket=name)
    for entry in open_ledger(workspace).entries(workspace.params.register_.model_name):
        known = entry.event == DRIFT_VERDICT and entry.evidence["decision_id"] == name
        if known and entry.evidence["verdict"] == Answer.RETRAIN:
            return Trigger(kind="drift", ticket=str(entry.evidence["ticket"]))
    raise UsageError(
        f"no decision {name} in the ledger says RETRAIN",
        expected="a ticket, or the id of a decision to retrain",
        fix="holdfast monitor",
    )
