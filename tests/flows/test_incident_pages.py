"""The page of an incident beside its ticket: it says how the ticket ended, and forgets as it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from desks import TRAINING, VERSION, log_rows, make_desk

from flows.monitoring.incidents import draw_incidents
from flows.monitoring.labels import confirm_tickets
from flows.monitoring.windows import open_store, read_windows
from flows.workspace import Workspace

pytest.importorskip("evidently")
pytestmark = [
    pytest.mark.slow,  # it takes seconds to import
    pytest.mark.filterwarnings("ignore"),  # of Evidently's own dependencies
]


@pytest.fixture
def drawn(tmp_path: Path) -> Workspace:
    """Return a workspace with a live ticket and its page."""
    workspace = make_desk(tmp_path, monitor={"evidently": "incidents"})
    log_rows(workspace, 600, foreign=0.6)
    read_windows(workspace, VERSION, TRAINING)
    confirm_tickets(workspace, VERSION, TRAINING)
    assert ": open</h1>" in page(workspace)
    return workspace


def page(workspace: Workspace, version: int = 1) -> str:
    """Return the one page as it is after a run of a champion."""
    champion = VERSION.model_copy(update={"version": version})
    draw_incidents(workspace, champion, TRAINING, open_store(workspace).tickets("m"))
    [found] = (workspace.state / "incidents").glob("*.html")
    return found.read_text(encoding="utf-8")


def change(workspace: Workspace, **changes: Any) -> None:
    store = open_store(workspace)
    [ticket] = store.tickets("m")
    store.put_ticket(ticket.model_copy(update=changes))


def test_a_page_says_how_its_ticket_ended(drawn: Workspace) -> None:
    change(drawn, status="benign")
    ended = page(drawn)
    assert ": benign</h1>" in ended
    assert ": open</h1>" not in ended


def test_a_page_says_that_another_champion_ended_its_ticket_and_loses_texts_with_it(
    drawn: Workspace,
) -> None:
    [ticket] = open_store(drawn).tickets("m")
    assert ticket.explanation is not None
    [text, *_] = (c.examples[0] for c in ticket.explanation.clusters if c.moved and c.examples)
    change(drawn, status="superseded")
    ended = page(drawn, version=2)
    assert ": superseded</h1>" in ended
    assert text in ended
    change(drawn, explanation=ticket.explanation.without_rows())
    assert text not in page(drawn, version=2)
