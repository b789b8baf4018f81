"""What the demo says at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.commands.demo import next_commands
from flows.commands.demo_loop import Chapter, SecondAct, lines


@pytest.mark.parametrize("on_the_path", [True, False])
def test_how_to_reach_the_command_is_said_where_it_is_not_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, on_the_path: bool
) -> None:
    programs = tmp_path / "my clone/bin"
    programs.mkdir(parents=True)
    (programs / "holdfast").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(programs if on_the_path else tmp_path))
    lines = next_commands(programs)
    assert "holdfast ledger log" in lines[0]
    assert [f"source '{programs}/activate'" in line for line in lines[1:]] == [True] * (
        not on_the_path
    )


def test_the_second_act_says_what_each_ticket_came_to() -> None:
    usual = Chapter(
        phases=("none",), n_rows=500, n_asked=0, tickets=(), decision="NO_NEW_EVIDENCE", reason="r"
    )
    harmful = usual.model_copy(
        update={"n_asked": 50, "tickets": ("drift-1: harm",), "decision": "RETRAIN"}
    )
    told = "\n".join(lines(SecondAct(harmless=usual, harmful=harmful, retrain=None)))
    assert "1. Traffic in another style: 500 rows (none)\n     no alarm\n     NO_NEW_EVI" in told
    assert "the ticket drift-1; harm: more answers are wrong than is tolerated" in told
    assert "50 labels settled it; more were then asked for, to learn from; the other" in told
    assert "labels came later\n     RETRAIN: r" in told
    assert told.endswith("3. The retrain\n     none was due")
