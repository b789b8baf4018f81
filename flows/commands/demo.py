"""``holdfast demo``: the main job on the sample corpus, then where everything is."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from flows.commands.train import run_train, summarize
from flows.workspace import Workspace


def run_demo(directory: Path, *, prefect: bool) -> str:
    """Return the closing summary of the main job on the workspace ``directory``.

    With ``prefect`` a first run goes through Prefect's temporary server, which keeps its database
    in the state directory; a later run finds its work done and needs no server.
    """
    workspace = Workspace.open(directory)
    workspace.prepare_state()
    orchestrated = prefect and not _ran_before(workspace)
    if orchestrated:
        os.environ.setdefault("PREFECT_HOME", str(workspace.state / "prefect"))
    result = run_train(workspace.root, announced=True, prefect=orchestrated)
    return f"{summarize(workspace, result)}\n\n{where_to_look(workspace)}"


def where_to_look(workspace: Workspace) -> str:
    """Return where the report, the MLflow runs and the Prefect runs are, and how to open them."""
    programs = Path(sys.executable).parent
    home = Path(os.environ.get("PREFECT_HOME") or workspace.state / "prefect")
    mlflow_ui = f"{programs / 'mlflow'} ui --backend-store-uri {workspace.tracking_uri}"
    prefect_ui = f"PREFECT_HOME={home} {programs / 'prefect'} server start"
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
