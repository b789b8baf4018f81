"""The second act of ``holdfast demo``: what comes after the first champion, in fast motion.

Traffic in another style does no harm and is not retrained on. Traffic in new words does: a ticket
opens, some dozen labels confirm the harm, the rest of the labels come late, and a retrain is
admitted, judged on rows that were held back, and promoted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flows.commands.monitor import run_monitor
from flows.commands.simulate_traffic import Rows, recorded_arrivals
from flows.monitor import MonitorResult
from flows.monitoring.windows import open_store
from flows.pipeline import Call, call_directly, say
from flows.retrain import retrain
from flows.retraining.recording import RetrainResult
from flows.retraining.triggers import Trigger
from flows.simulating import ChampionAnswers, Played, play
from flows.workspace import Workspace
from pipeline_steps.drift_types import RetrainVerdict
from pipeline_steps.errors import counted
from pipeline_steps.monitoring.simulation import Arrival
from pipeline_steps.monitoring.tickets import Ticket
from pipeline_steps.types import Value

HARMLESS = ("none", "harmless_style")
HARMFUL = ("new_phrasing",)
_MEANING = {
    "benign": "benign: the change does no harm",
    "harm": "harm: more answers are wrong than is tolerated",
    "unclear": "unclear: the labels decided nothing",
    "open": "open: it waits for labels",
    "superseded": "superseded: there is a new champion",
}


class Chapter(Value):
    """One stretch of traffic, and what the monitor made of it.

    ``n_asked``: labels that tickets asked for until they were settled; ``tickets``: those that it
    opened, with their status; ``reports``: a page for each incident.
    """

    phases: tuple[str, ...]
    n_rows: int
    n_asked: int
    tickets: tuple[str, ...]
    decision: str
    reason: str
    reports: tuple[str, ...] = ()


class SecondAct(Value):
    """What came after the first champion."""

    harmless: Chapter
    harmful: Chapter
    retrain: RetrainResult | None


def second_act(workspace: Workspace, *, call: Call) -> SecondAct:
    """Return what the later traffic of the sample corpus led to."""
    answers = ChampionAnswers.of(workspace)
    harmless, result = _chapter(workspace, answers, HARMLESS, call)
    harmful, result = _chapter(workspace, answers, HARMFUL, call)
    retrained = None
    if result.decision.verdict is RetrainVerdict.RETRAIN:
        trigger = Trigger(kind="drift", ticket=result.decision.ticket)
        retrained = retrain(workspace, trigger, call=call)
    return SecondAct(harmless=harmless, harmful=harmful, retrain=retrained)


def _chapter(
    workspace: Workspace, answers: ChampionAnswers, phases: tuple[str, ...], call: Call
) -> tuple[Chapter, MonitorResult]:
    """Return what the monitor made of some phases: first by asked labels, then with all of them."""
    coming = recorded_arrivals(workspace, Rows(phases=phases))
    earlier = {ticket.ticket for ticket in _tickets(workspace)}
    say(f"- traffic: {' and '.join(phases)}, {counted(len(coming), 'row')}")
    call(play_traffic, coming, answers)
    call(watch_traffic, workspace)
    n_asked = call(answer_requests, workspace, coming, answers)
    answers.label(coming)  # the rest of the labels comes weeks later
    result = call(watch_traffic, workspace)
    say(f"  {result.decision.verdict}: {'; '.join(result.decision.reasons)}")
    chapter = Chapter(
        phases=phases,
        n_rows=len(coming),
        n_asked=n_asked,
        tickets=tuple(f"{t.ticket}: {t.status}" for t in result.tickets if t.ticket not in earlier),
        decision=result.decision.verdict.value,
        reason="; ".join(result.decision.reasons),
        reports=result.reports,
    )
    return chapter, result


def answer_requests(
    workspace: Workspace, coming: Sequence[Arrival], answers: ChampionAnswers
) -> int:
    """Return how many labels open tickets asked for until they were settled, a few at a time."""
    n_asked = 0
    while asked := waiting_labels(workspace, coming):
        answers.label(asked)
        n_asked += len(asked)
        watch_traffic(workspace)
    return n_asked


def play_traffic(coming: Sequence[Arrival], answers: ChampionAnswers) -> Played:
    """Return what was played: the rows alone, their labels come later."""
    return play((_without_label(arrival) for arrival in coming), answers)


def _without_label(arrival: Arrival) -> Arrival:
    from dataclasses import replace

    return replace(arrival, label=None, labelled_at=None)


def watch_traffic(workspace: Workspace) -> MonitorResult:
    """Return what the traffic since the last look shows."""
    return run_monitor(workspace, call_directly)


def waiting_labels(
    workspace: Workspace, coming: Sequence[Arrival], statuses: Sequence[str] = ("open",)
) -> list[Arrival]:
    """Return the rows whose labels tickets of a status wait for, as far as they are among these."""
    store, tickets = open_store(workspace), _tickets(workspace)
    asked = [
        r.prediction_id for t in tickets if t.status in statuses for r in store.requests(t.ticket)
    ]
    rows = store.rows(asked)
    unanswered = {name for name, row in rows.items() if row.label is None}
    return [arrival for arrival in coming if arrival.name in unanswered]


def _tickets(workspace: Workspace) -> list[Ticket]:
    return open_store(workspace).tickets(workspace.params.register_.model_name)


def lines(act: SecondAct) -> list[str]:
    """Return the second act as it reads."""
    return [
        "What came after, in fast motion",
        *_of_chapter("1. Traffic in another style", act.harmless),
        *_of_chapter("2. Traffic in new words", act.harmful),
        "  3. The retrain",
        *(f"     {line}" for line in _of_retrain(act.retrain)),
    ]


def _of_chapter(title: str, chapter: Chapter) -> Iterator[str]:
    yield f"  {title}: {counted(chapter.n_rows, 'row')} ({', '.join(chapter.phases)})"
    if not chapter.tickets:
        yield "     no alarm"
    for ticket in chapter.tickets:
        name, _, status = ticket.partition(": ")
        yield f"     an alarm opened the ticket {name}; {_MEANING[status]}"
    if chapter.n_asked:
        settled = f"{counted(chapter.n_asked, 'label')} settled it"
        harmful = any(ticket.endswith(": harm") for ticket in chapter.tickets)
        more = "more were then asked for, to learn from; " if harmful else ""
        yield f"     {settled}; {more}the other labels came later"
    yield f"     {chapter.decision}: {chapter.reason}"
    for path in chapter.reports:
        yield f"     incident: {path}"


def _of_retrain(result: RetrainResult | None) -> list[str]:
    from flows.commands.retrain import lines as told

    return ["none was due"] if result is None else told(result)
