"""``holdfast demo``: the main job on the sample corpus, what came after, where everything is."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from flows.commands.demo_loop import SecondAct, second_act
from flows.commands.demo_loop import lines as act_lines
from flows.commands.train import run_train, summarize
from flows.pipeline import announcing, call_directly, say
from flows.results import TrainResult
from flows.stage_inputs import read_stages
from flows.workspace import Workspace
from pipeline_steps.digests import value_digest
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.files import write_text_atomically
from pipeline_steps.provenance import code_version
from pipeline_steps.types import Value

_RECORD = "demo.json"
_CODE = ("data_preparation", "evaluation", "inference", "monitoring", "problems", "training")


class Played(Value):
    """The demo as it was played: its first run, what came after, under which code and numbers."""

    key: str
    first: TrainResult
    second: SecondAct


def run_demo(directory: Path, *, prefect: bool) -> str:
    """Return the closing summary of both acts on the workspace ``directory``.

    With ``prefect`` a first run goes through Prefect's temporary server, which keeps its database
    in the state directory; a later run finds its work done and needs no server.

    Raises
    ------
    ConfigurationError
        If it is not the sample workspace: what comes after is played from the sample corpus.
    """
    workspace = Workspace.open(directory)
    _refuse_other_workspace(workspace.root)
    workspace.prepare_state()
    earlier = _played(workspace)
    if earlier is not None:
        first = earlier.first.model_copy(update={"reused": True, "seconds": 0.0})
        played = earlier.model_copy(update={"first": first})
    else:
        played = _play(workspace, prefect=prefect)
    told = [summarize(workspace, played.first), "", *act_lines(played.second)]
    return "\n".join([*told, "", where_to_look(workspace)])


def _refuse_other_workspace(root: Path) -> None:
    if "generate" not in (read_stages(root) or {}):
        raise ConfigurationError(
            f"{root} is not the sample workspace: {root / 'dvc.yaml'} has no stage generate",
            expected="the sample workspace, which makes its own corpus",
            fix="run `make demo` in a clone of Holdfast; for your own rows: holdfast train",
        )


def _play(workspace: Workspace, *, prefect: bool) -> Played:
    orchestrated = prefect and not _ran_before(workspace)
    if orchestrated:
        os.environ.setdefault("PREFECT_HOME", str(workspace.state / "prefect"))
    first = run_train(workspace.root, announced=True, prefect=orchestrated)
    second = second_act(workspace, call=announcing(call_directly, say))
    played = Played(key=_key(workspace), first=first, second=second)
    write_text_atomically(workspace.state / _RECORD, played.model_dump_json(indent=2))
    return played


def _played(workspace: Workspace) -> Played | None:
    """Return the demo of an earlier run with today's parameters and code, if it came to its end."""
    path = workspace.state / _RECORD
    if not path.exists():
        return None
    found = Played.model_validate_json(path.read_text(encoding="utf-8"))
    return found if found.key == _key(workspace) else None


def _key(workspace: Workspace) -> str:
    code = code_version(_CODE)
    return value_digest([workspace.params.model_dump(mode="json"), code])


def where_to_look(workspace: Workspace) -> str:
    """Return where the report, the MLflow runs and the Prefect runs are, and how to open them."""
    programs = Path(sys.executable).parent
    home = Path(os.environ.get("PREFECT_HOME") or workspace.state / "prefect")
    mlflow_ui = shlex.join(
        [str(programs / "mlflow"), "ui", "--backend-store-uri", workspace.tracking_uri]
    )
    prefect = shlex.join([str(programs / "prefect"), "server", "start"])
    prefect_ui = f"PREFECT_HOME={shlex.quote(str(home))} {prefect}"
    lines = [
        "Where to look",
        f"  MLflow   {mlflow_ui}    then http://127.0.0.1:5000",
    ]
    if home.exists():
        lines.append(f"  Prefect  {prefect_ui}    then http://127.0.0.1:4200")
    lines += next_commands(programs)
    return "\n".join(lines)


def next_commands(programs: Path) -> list[str]:
    """Return what to type next: first what puts `holdfast` on the path, where it is not there."""
    lines = ["  next     holdfast ledger log, holdfast doctor, holdfast init DIR --train FILE"]
    found = shutil.which("holdfast")
    if found is None or Path(found).parent != programs:
        activate = shlex.quote(str(programs / "activate"))
        lines.append(f"           (once for each terminal: source {activate})")
    return lines


def _ran_before(workspace: Workspace) -> bool:
    return any((workspace.state / "runs").glob("*/result.json"))
