"""How many labels a ticket asks for once its harm is confirmed: enough for a retrain."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.monitoring.labels import most_to_train
from flows.workspace import Workspace
from pipeline_steps.monitoring.tickets import Ticket

NOW = datetime(2026, 5, 20, tzinfo=UTC)
TICKET = Ticket(
    ticket="drift-1", model_name="m", version=1, reference_digest="r", alarm_sequence=1,
    last_sequence=2, opened_at=NOW, changed_at=NOW, status="harm",
)  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "labels", "most"),
    [("balanced", 100, 100), ("balanced", 250, 250), ("strict", 100, 400), ("strict", 0, 0)],
)
def test_a_harmful_ticket_asks_for_at_least_what_a_retrain_needs(
    tmp_path: Path, policy: str, labels: int, most: int
) -> None:
    content: dict[str, Any] = {
        "ingest": {"sources": [{"path": "a.csv"}]}, "register": {"model_name": "m"},
        "gate": {"policy": policy}, "monitor": {"labels_to_train": labels},
    }  # fmt: skip
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    assert most_to_train(Workspace.open(tmp_path), TICKET, [], 0) == most
