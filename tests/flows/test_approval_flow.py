"""The flow that waits for a person in Prefect: paused, answered there or timed out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parents[1]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_paused_flow_is_answered_refused_and_times_out(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-P", str(HERE / "approval_runs.py"), str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    said: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    assert said["paused"] == ["Paused", "Paused", "Paused"]
    assert said["told"] == [f"version {number} waits for approval" for number in (2, 3, 4)]
    assert said["events"] == [["holdfast.model.intents", number] for number in (2, 3, 4)]
    assert said["returned"] == ["approved", "refused", "expired"]
    assert said["aliases"] == {"champion": 2, "previous": 1}
    assert "[The report](file:///reports/2.html)" in said["artifact"]
    answers = [
        e for e in said["ledger"] if e["event"].startswith("approval_") and e["actor"] != "ada"
    ]
    assert [(e["event"], e["actor"]) for e in answers] == [
        ("approval_given", "eve"),
        ("approval_refused", "eve"),
        ("approval_expired", "the clock"),
    ]
