"""traffic -> scores -> detector -> ticket -> labels -> verdict, for one workspace's champion.

Every step keeps what it finds before the next one begins, and finds it again after a kill.
"""

from __future__ import annotations

from typing import Any

from flows.monitoring.incidents import draw_incidents, draw_windows
from flows.monitoring.labels import confirm_tickets, forget_texts
from flows.monitoring.other_versions import NotServing, find_other_versions
from flows.monitoring.references import find_champion, training_reference
from flows.monitoring.standing import watch_labels
from flows.monitoring.verdicts import decide_retrain, record_verdicts
from flows.monitoring.windows import read_windows
from flows.pipeline import Call, call_directly
from flows.workspace import Workspace
from pipeline_steps.drift_types import DriftReport, RetrainDecision
from pipeline_steps.monitoring.standing import StandingEvidence
from pipeline_steps.monitoring.tickets import Ticket
from pipeline_steps.types import Value


class MonitorResult(Value):
    """What ``holdfast monitor --json`` prints.

    ``recorded``: ids of the decisions that this run wrote to the ledger; ``not_serving``: what is
    wrong where other versions than the champion answered all new rows; ``standing``: what labels
    of rows say that were drawn by chance, where no ticket is live.
    """

    version: int
    windows: tuple[DriftReport, ...]
    tickets: tuple[Ticket, ...]
    decision: RetrainDecision
    standing: StandingEvidence | None = None
    not_serving: NotServing | None = None
    reports: tuple[str, ...] = ()
    recorded: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as one JSON object."""
        return self.model_dump(mode="json")


def monitor(workspace: Workspace, *, call: Call = call_directly) -> MonitorResult:
    """Return what the traffic since the last run shows, and whether to train again."""
    entries = call(record_verdicts, workspace)  # of a run that was killed before it wrote them
    version = call(find_champion, workspace)
    training = call(training_reference, workspace, version)
    windows = call(read_windows, workspace, version, training)
    not_serving = call(find_other_versions, workspace, version, windows)
    standing = call(watch_labels, workspace, version, training)
    tickets = call(confirm_tickets, workspace, version, training)
    tickets = call(forget_texts, workspace, tickets)
    decision = call(decide_retrain, workspace, version, tickets)
    entries += call(record_verdicts, workspace)
    call(draw_windows, workspace, version, training, windows)
    pages = call(draw_incidents, workspace, version, training, tickets)
    return MonitorResult(
        version=version.version,
        windows=tuple(windows),
        tickets=tuple(tickets),
        decision=decision,
        standing=standing,
        not_serving=not_serving,
        reports=tuple(str(page) for page in pages),
        recorded=tuple(entry.evidence["decision_id"] for entry in entries),
    )
