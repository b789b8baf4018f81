"""What the demo says at its end."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml

from flows.commands.demo import next_commands, run_demo, where_to_look
from flows.commands.demo_loop import Chapter, SecondAct, lines
from flows.settings import Settings
from flows.workspace import Workspace
from pipeline_steps.errors import ConfigurationError


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


def sample_like(root: Path, *stages: str) -> Workspace:
    """Return a workspace with these stages, and nothing that they need."""
    root.mkdir()
    params = {"ingest": {"sources": [{"path": "a.csv"}]}}
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {s: {"cmd": "x"} for s in stages}}))
    return Workspace.open(root, Settings(state_dir=Path(".holdfast")))


def test_a_workspace_of_ones_own_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    root = sample_like(tmp_path / "mine", "ingest", "validate").root
    with pytest.raises(ConfigurationError, match="not the sample workspace") as refusal:
        run_demo(root, prefect=False)
    assert refusal.value.fix.endswith("holdfast train")
    assert sorted(path.name for path in root.iterdir()) == ["dvc.yaml", "params.yaml"]


def test_what_opens_the_records_can_be_pasted_where_a_path_has_blanks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    workspace = sample_like(tmp_path / "my desk", "generate")
    (workspace.state / "prefect").mkdir(parents=True)
    told = where_to_look(workspace).splitlines()
    mlflow, prefect = (shlex.split(line.partition("    then")[0])[1:] for line in told[1:3])
    assert mlflow[1:] == ["ui", "--backend-store-uri", workspace.tracking_uri]
    assert prefect[0] == f"PREFECT_HOME={workspace.state / 'prefect'}"
    assert prefect[2:] == ["server", "start"]


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
