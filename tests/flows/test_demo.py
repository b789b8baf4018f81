"""What the demo says at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.commands.demo import next_commands


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
