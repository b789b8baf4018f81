"""``holdfast monitor``: what moved in the traffic, whether it harms, whether to train again."""

from __future__ import annotations

from collections.abc import Iterator

from flows.monitor import MonitorResult, monitor
from flows.monitoring.references import ensure_reference
from flows.pipeline import Call
from flows.workspace import Workspace, watching
from pipeline_steps.drift_types import DriftReport
from pipeline_steps.errors import counted
from pipeline_steps.monitoring.standing import StandingEvidence
from pipeline_steps.monitoring.tickets import Ticket

_NAMED = 5


def run_monitor(workspace: Workspace, call: Call) -> MonitorResult:
    """Return the result of one run; one at a time, also beside a training."""
    with watching(workspace):
        ensure_reference(workspace)
        return monitor(workspace, call=call)


def summarize(result: MonitorResult) -> str:
    """Return the result as it reads."""
    return "\n".join(_lines(result))


def _lines(result: MonitorResult) -> Iterator[str]:
    if not result.windows:
        yield f"version {result.version}: no new traffic"
    yield from (_window(report) for report in result.windows)
    if result.not_serving is not None:
        yield f"WARNING: {result.not_serving.reason}"
    if result.standing is not None and (result.standing.n_labelled or result.standing.n_asked):
        yield _standing(result.standing)
    yield from (_ticket(ticket) for ticket in result.tickets if ticket.live)
    yield f"{result.decision.verdict}: {'; '.join(result.decision.reasons)}"
    yield from (f"report: {path}" for path in result.reports)


def _window(report: DriftReport) -> str:
    status = report.status.replace("_", " ")
    words = [
        f"rows {report.first_sequence} to {report.last_sequence}: {status}",
        f"evidence {report.peak:.3g} of {report.threshold:.3g}",
    ]
    guess = report.estimated_harm
    if guess is not None and guess.atc is not None:
        words.append(f"guessed error rate {guess.atc:.3f} (held-out {guess.base_risk:.3f})")
    untested = [f.name for f in report.scores if f.drifted is None]
    if untested:
        words.append(f"not testable: {', '.join(untested)}")
    return "; ".join([*words, *report.notes])


def _standing(found: StandingEvidence) -> str:
    words = (
        f"labels without an alarm: {found.n_labelled} of {counted(found.n_drawn, 'drawn row')}; "
        f"evidence {found.peak:.3g} of {found.threshold:.3g}"
    )
    if found.n_asked:
        words += f"; {found.n_asked} to label: holdfast monitor labels --export FILE"
    return words


def _ticket(ticket: Ticket) -> str:
    harm = ticket.harm
    n = 0 if harm is None else harm.n
    words = f"{ticket.ticket}: {ticket.status}, {counted(n, 'label')}"
    words += ", opened by labels" if ticket.opened_by == "labels" else ""
    if harm is not None and harm.risk is not None:
        words += f", risk {harm.risk:.3f} [{harm.ci_low:.3f}, {harm.ci_high:.3f}]"
        words += f", tolerated {harm.line:.3f}"
    moved = [m.word for m in ticket.explanation.words[:5]] if ticket.explanation else []
    words += f"; words that moved: {', '.join(moved)}" if moved else ""
    if ticket.left_out:
        named = ", ".join(ticket.left_out[:_NAMED])
        left = counted(len(ticket.left_out), "label")
        words += f"; {left} left out, no answers to their rows: {named}"
    if ticket.status == "open":
        words += "; to label: holdfast monitor labels --export FILE"
    return words
