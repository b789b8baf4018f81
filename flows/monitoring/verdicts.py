"""The verdict of a monitor's run: decided, kept, and written to the ledger once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from flows.approval import lapse
from flows.monitoring.windows import open_store
from flows.registry_access import open_ledger
from flows.retraining.dataset_version import fresh_rows
from flows.retraining.traffic_rows import traffic_rows
from flows.retraining.training_minutes import training_minutes
from flows.retraining.triggers import rows_needed
from flows.workspace import Workspace
from pipeline_steps.drift_types import RetrainDecision
from pipeline_steps.monitoring.decide import Budget, Facts, Worth, decide
from pipeline_steps.monitoring.tickets import Ticket
from pipeline_steps.registry.ledger import LedgerEntry
from pipeline_steps.registry.retrain_history import past_retrains
from pipeline_steps.retrain_runs import minutes_expected
from pipeline_steps.types import ModelVersion

DRIFT_VERDICT = "drift_verdict"
_DAY = timedelta(days=1)


def decide_retrain(
    workspace: Workspace,
    version: ModelVersion,
    tickets: Sequence[Ticket],
    *,
    now: datetime | None = None,
    budget: Budget | None = None,
) -> RetrainDecision:
    """Return whether to train again, and keep the decision until the ledger holds it."""
    lapse(workspace)  # a request without an answer in time was refused
    facts = _facts(workspace, version, tickets, now or datetime.now(UTC))
    worth = Worth.model_validate(workspace.params.monitor.worth.model_dump())
    decision = decide(facts, budget or _budget(workspace), worth)
    open_store(workspace).put_decision(decision)
    return decision


def record_verdicts(workspace: Workspace) -> list[LedgerEntry]:
    """Return the entries of decisions that the ledger lacked: also those of runs that were killed.

    The ledger's entry carries the decision's id; written twice it is one entry.
    """
    store, ledger = open_store(workspace), open_ledger(workspace)
    name = workspace.params.register_.model_name
    entries = []
    for decision in store.decisions(name, recorded=False):
        entry = ledger.append_once(
            DRIFT_VERDICT,
            model_name=name,
            actor=workspace.settings.actor,
            reason=f"{decision.verdict}: {'; '.join(decision.reasons)}",
            evidence=decision.model_dump(mode="json"),
        )
        store.mark_recorded(decision.decision_id)
        entries.append(entry)
    return entries


def _budget(workspace: Workspace) -> Budget:
    """Return what a retrain may cost: the same numbers by which it is admitted."""
    params = workspace.params.retrain
    return Budget(
        cool_down_hours=params.cool_down_hours,
        minutes_a_week=params.minutes_a_week,
        failures_in_a_row=params.failures_in_a_row,
    )


def _facts(
    workspace: Workspace, version: ModelVersion, tickets: Sequence[Ticket], now: datetime
) -> Facts:
    runs = past_retrains(open_ledger(workspace).entries(version.name))
    ticket = _most_pressing(tickets, version)
    return Facts(
        model_name=version.name,
        version=version.version,
        now=now,
        ticket=None if ticket is None else ticket.ticket,
        window=None if ticket is None else (ticket.alarm_sequence, ticket.last_sequence),
        harm=None if ticket is None else ticket.harm,
        joined=0 if ticket is None else ticket.joined,
        rows_a_day=_rows_a_day(workspace, now),
        n_labelled=0 if ticket is None else _n_labelled(workspace, ticket),
        least_labelled=rows_needed(workspace.params),
        minutes=minutes_expected(runs, training_minutes(workspace, version)),
        runs=runs,
    )


def _most_pressing(tickets: Sequence[Ticket], version: ModelVersion) -> Ticket | None:
    """Return a confirmed ticket before one that waits for labels, before one found benign."""
    rank = {"harm": 0, "open": 1}
    live = [t for t in tickets if t.live and t.version == version.version]
    return min(live, key=lambda t: (rank[t.status], t.alarm_sequence), default=None)


def _n_labelled(workspace: Workspace, ticket: Ticket) -> int:
    """Return how many labelled rows a retrain for the ticket would find that are news to it."""
    if ticket.status != "harm":
        return 0
    return len(fresh_rows(workspace, traffic_rows(workspace, ticket.ticket)))


def _rows_a_day(workspace: Workspace, now: datetime) -> float:
    rows = open_store(workspace).count_since(workspace.params.register_.model_name, now - _DAY)
    return float(rows)
