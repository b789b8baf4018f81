"""Reads the traffic since the last run, window by window, each in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from flows.monitoring.embedding import embedded
from flows.monitoring.references import kept_reference
from flows.workspace import Workspace
from pipeline_steps.drift_types import DriftReport
from pipeline_steps.errors import ConfigurationError, counted
from pipeline_steps.monitoring.e_detector import EDetector
from pipeline_steps.monitoring.monitor_store import MonitorState, MonitorStore
from pipeline_steps.monitoring.monitored_rows import (
    SESSION,
    MonitoredRows,
    Seen,
    monitored_rows,
)
from pipeline_steps.monitoring.reference import Reference
from pipeline_steps.monitoring.standing import StandingDraw, drawn_rows
from pipeline_steps.monitoring.standing_rows import next_position
from pipeline_steps.monitoring.tickets import LabelRequest, Ticket, place_alarm, ticket_of
from pipeline_steps.monitoring.traffic import TrafficLog, TrafficRow
from pipeline_steps.monitoring.window import Watch, WindowPolicy, judge_window, start_watch
from pipeline_steps.problems.catalog import get_problem
from pipeline_steps.types import ModelVersion

_LOST = "the accepted reference is lost: the detector starts anew on that of the training"


def open_store(workspace: Workspace) -> MonitorStore:
    """Return the monitor's state beside the workspace's traffic log."""
    workspace.prepare_state()
    return MonitorStore(TrafficLog(workspace.traffic_url))


def read_windows(
    workspace: Workspace, version: ModelVersion, training: Reference
) -> list[DriftReport]:
    """Return the reports of the windows since the last run; each is kept as it is made.

    A report tells how many rows other versions answered; one that could tell nothing else is not
    kept. A killed run goes on behind the last window that it finished.
    """
    session_field(workspace)  # before anything is read
    store = open_store(workspace)
    reports = []
    _begin(workspace, store, version, training)
    while (report := _next_window(workspace, store, version, training)) is not None:
        reports.append(report)
    return reports


def policy_of(workspace: Workspace, version: ModelVersion) -> WindowPolicy:
    """Return how windows of a version are compared."""
    params = workspace.params.monitor
    return WindowPolicy(
        model_name=version.name,
        version=version.version,
        threshold=params.threshold,
        least_rows=params.least_rows,
        bag_rows=params.bag_rows,
        explain=params.explain,
        strata=params.strata,
        seed=params.seed,
    )


def seen_as(workspace: Workspace, rows: Sequence[TrafficRow], training: Reference) -> MonitoredRows:
    """Return rows of the log as this workspace's monitor sees them.

    They are embedded where the reference is.
    """
    params = workspace.params.monitor
    return monitored_rows(
        rows,
        training.meta.labels,
        strata=params.strata,
        session_field=session_field(workspace),
        embed=embedded if training.frozen.neighbours is not None else None,
    )


def session_field(workspace: Workspace) -> str | None:
    """Return what says which rows belong together, ``None``: nothing.

    Raises
    ------
    ConfigurationError
        If rows of the problem have no such input: the guard would never hold.
    """
    name = workspace.params.monitor.session_column
    known = (SESSION, *(field.name for field in get_problem(workspace.params.problem).inputs))
    if name is None or name in known:
        return name
    raise ConfigurationError(
        f"monitor.session_column: rows have no {name!r}",
        expected=f"one of {', '.join(known)}, or null",
        fix=f"send it with each request as `{SESSION}`, and set monitor.session_column: {SESSION}",
    )


def fresh_state(
    workspace: Workspace,
    version: ModelVersion,
    training: Reference,
    anchor: Reference,
    cursor: int,
) -> MonitorState:
    """Return the state of a monitor that has seen nothing but its anchor."""
    watch = start_watch(anchor, policy_of(workspace, version))
    return MonitorState(
        training.digest, anchor.digest, cursor, watch.detector.to_bytes(), watch.seen.to_json()
    )


def _begin(
    workspace: Workspace, store: MonitorStore, version: ModelVersion, training: Reference
) -> None:
    """Start anew where this champion has not been watched before, or not in this way.

    Its log goes on, and so do its tickets: what is asked of their labels is the same as before.
    """
    state = store.state(version.name)
    if state is not None and state.training_digest == training.digest:
        return
    cursor = 0 if state is None else state.cursor
    new = fresh_state(workspace, version, training, training, cursor)
    ended = [
        ticket.model_copy(update={"status": "superseded"})
        for ticket in store.tickets(version.name)
        if ticket.live and ticket.version != version.version
    ]
    store.advance(version.name, new, expected=state, tickets=ended)


def _next_window(
    workspace: Workspace, store: MonitorStore, version: ModelVersion, training: Reference
) -> DriftReport | None:
    """Return the report of the next window, ``None`` at the end of the log."""
    state = store.state(version.name)
    if state is None:
        return None
    limit = workspace.params.monitor.window_rows
    page = store.log.read(state.cursor, limit, version.name)
    if not page:
        return None
    theirs = [row for row in page if row.prediction.version == version.version]
    report, watch = _judged(workspace, version, training, state, theirs)
    report = _with_others(report, page)
    new = MonitorState(
        state.training_digest,
        report.reference_digest,
        page[-1].sequence,
        state.detector if watch is None else watch.detector.to_bytes(),
        state.seen if watch is None else watch.seen.to_json(),
    )
    kept = report if theirs else None
    store.advance(
        version.name,
        new,
        expected=state,
        report=kept,
        tickets=_ticket(workspace, store, report, theirs),
        drawn=[] if watch is None else _drawn(workspace, store, version, watch),
    )
    return report


def _drawn(
    workspace: Workspace, store: MonitorStore, version: ModelVersion, watch: Watch
) -> list[LabelRequest]:
    """Return the rows of a window that are drawn for the standing test of labels.

    Nobody is asked for more labels while a ticket asks for some.
    """
    draw, rows = standing_draw(workspace, version), watch.compared
    if draw is None or rows is None or (draw.asked and live_tickets(store, version)):
        return []
    return drawn_rows(draw, rows.ids, rows.sequences, next_position(store, draw.name))


def standing_draw(workspace: Workspace, version: ModelVersion) -> StandingDraw | None:
    """Return how rows of a version are drawn whose labels count without an alarm."""
    params = workspace.params.monitor
    if not params.standing_share:
        return None
    return StandingDraw(
        model_name=version.name,
        version=version.version,
        share=params.standing_share,
        asked=params.standing_labels > 0.0,
        seed=params.seed,
    )


def live_tickets(store: MonitorStore, version: ModelVersion) -> list[Ticket]:
    """Return the tickets of a version about which something is still to be done."""
    tickets = store.tickets(version.name)
    return [ticket for ticket in tickets if ticket.live and ticket.version == version.version]


def _judged(
    workspace: Workspace,
    version: ModelVersion,
    training: Reference,
    state: MonitorState,
    rows: list[TrafficRow],
) -> tuple[DriftReport, Watch | None]:
    policy = policy_of(workspace, version)
    if not rows:
        return _of_no_rows(policy, state), None
    anchor = kept_reference(workspace, state.anchor_digest, training)
    seen = seen_as(workspace, rows, training)
    if anchor.digest != state.anchor_digest:  # whatever was known beside the lost one is void
        watch = start_watch(anchor, policy)
        report = judge_window(seen, watch, anchor, training, policy)
        return report.model_copy(update={"notes": (*report.notes, _LOST)}), watch
    watch = Watch(EDetector.from_bytes(state.detector), Seen.from_json(state.seen))
    return judge_window(seen, watch, anchor, training, policy), watch


def _of_no_rows(policy: WindowPolicy, state: MonitorState) -> DriftReport:
    """Return the report of a page with other versions' rows only; it is not kept."""
    return DriftReport(
        model_name=policy.model_name,
        version=policy.version,
        reference_digest=state.anchor_digest,
        current_digest="",
        first_sequence=state.cursor + 1,
        last_sequence=state.cursor + 1,
        n_read=0,
        n_compared=0,
        status="not_testable",
        evidence=0.0,
        peak=0.0,
        threshold=policy.threshold,
    )


def _with_others(report: DriftReport, page: Sequence[TrafficRow]) -> DriftReport:
    """Return a report that says how many rows of its page other versions answered."""
    versions = Counter(row.prediction.version for row in page)
    del versions[report.version]
    if not versions:
        return report
    found = dict(sorted(versions.items()))
    said = [f"{counted(n, 'row')} of version {v} passed over" for v, n in found.items()]
    places = {} if report.n_read else {"last_sequence": page[-1].sequence}
    notes = (*report.notes, *said)
    return report.model_copy(update={"passed_over": found, "notes": notes, **places})


def _ticket(
    workspace: Workspace, store: MonitorStore, report: DriftReport, rows: list[TrafficRow]
) -> list[Ticket]:
    """Return the ticket that the window's alarm opens or joins, if there is an alarm."""
    if report.alarm_sequence is None:
        return []
    moment = next(r for r in rows if r.sequence == report.alarm_sequence).prediction.created_at
    new = ticket_of(report, moment)
    if new is None:
        return []
    cool_down = timedelta(hours=workspace.params.monitor.same_cause_hours)
    return [place_alarm(new, store.tickets(report.model_name), cool_down)]
