"""What stands at the head of an incident's page: the ticket in our own words."""

from __future__ import annotations

import html
import math
from datetime import UTC

from pipeline_steps.monitoring.tickets import Ticket

_STYLE = (
    "font-family:sans-serif;margin:1.5em;padding:1em;border:1px solid #999;border-radius:6px;"
    "max-width:60em"
)
_MEANINGS = {
    "open": "labels are asked for; nothing is decided yet",
    "harm": "labels show more errors than are tolerated; whether to train again is decided on",
    "benign": "labels show no more errors than are tolerated: no reason to train again",
    "unclear": "all labels that may be asked for decided nothing",
}
_OPENS, _CLOSES = f'<section style="{_STYLE}">', "</section>"


def with_head(page: str, ticket: Ticket) -> str:
    """Return the page with what the ticket says now at the head of its body.

    A page that has a head gets it in the place of the old one: its charts stay.
    """
    start = page.find(_OPENS)
    if start >= 0:
        end = page.find(_CLOSES, start) + len(_CLOSES)
        return f"{page[:start]}{_head(ticket)}{page[end:]}"
    body = page.find("<body")
    end = page.find(">", body) + 1 if body >= 0 else 0
    return f"{page[:end]}{_head(ticket)}{page[end:]}"


def _head(ticket: Ticket) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(k)}</td><td>{html.escape(v)}</td></tr>" for k, v in _facts(ticket)
    )
    title = html.escape(f"{ticket.ticket}: {ticket.status}")
    note = "Decided by the tests above; the charts below are Evidently's and decide nothing."
    return f"{_OPENS}<h1>{title}</h1><table>{rows}</table><p>{note}</p>{_CLOSES}"


def meaning(ticket: Ticket) -> str:
    """Return what the status of a ticket says, in words."""
    if ticket.status != "superseded":
        return _MEANINGS[ticket.status]
    shown = "had shown" if ticket.harmful else "had not shown"
    return f"another version became champion; labels {shown} more errors than are tolerated"


def _facts(ticket: Ticket) -> list[tuple[str, str]]:
    opened = f"{ticket.opened_at.astimezone(UTC):%Y-%m-%d %H:%M}"
    power = ticket.log_evidence / math.log(10.0)
    facts = [
        ("status", f"{ticket.status}: {meaning(ticket)}"),
        ("model", f"{ticket.model_name}, version {ticket.version}"),
        ("alarm", f"row {ticket.alarm_sequence} of the traffic log, {opened} UTC"),
        ("opened by", ticket.opened_by),
        ("evidence", f"10^{power:.1f} (none: 10^0); escalated {ticket.escalations} times"),
    ]
    harm, moved = ticket.harm, ticket.explanation
    if harm is not None and harm.risk is not None:
        interval = f"{harm.risk:.3f} [{harm.ci_low:.3f}, {harm.ci_high:.3f}]"
        facts.append(("risk", f"{interval} by {harm.n} labels; tolerated {harm.line:.3f}"))
    if moved is not None:
        facts.append(("words that moved", ", ".join(word.word for word in moved.words[:15])))
        facts += [
            ("rows, then and now", f"{c.name}: {c.reference_share:.1%} -> {c.current_share:.1%}: "
             + " / ".join(c.examples))
            for c in moved.clusters[:5] if c.moved
        ]  # fmt: skip
        if moved.mix_effect is not None and moved.within_effect is not None:
            split = f"{moved.mix_effect:+.3f} other rows, {moved.within_effect:+.3f} worse answers"
            facts.append(("change of the risk", split))
    return facts
