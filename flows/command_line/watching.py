"""The commands about traffic: monitor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.command_line.application import (
    AsJson,
    Directory,
    announced,
    app,
    open_workspace,
    print_result,
)
from pipeline_steps.errors import UsageError

watching = typer.Typer(help="What moved in the traffic, and whether to train again.")
app.add_typer(watching, name="monitor")


@watching.callback(invoke_without_command=True)
def monitor(
    context: typer.Context, workspace: Directory = Path(), *, as_json: AsJson = False
) -> None:
    """Read the traffic since the last run, judge open tickets by their labels, and decide."""
    if context.invoked_subcommand is not None:
        return
    from flows.commands.monitor import run_monitor, summarize
    from flows.notifying import failure_told, notify, of_monitor

    opened = open_workspace(workspace)
    with failure_told(opened, "monitor"):
        result = run_monitor(opened, announced(as_json=as_json))
    notify(opened, of_monitor(result))
    print_result(result.as_json() if as_json else summarize(result), as_json=as_json)


@watching.command("labels")
def monitor_labels(
    workspace: Directory = Path(),
    export: Annotated[
        Path | None, typer.Option(help="Write the rows to label to this CSV.")
    ] = None,
    import_: Annotated[
        Path | None, typer.Option("--import", help="Read this CSV with its labels filled in.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Write the rows whose labels open tickets ask for, or read the labels back."""
    from flows.monitoring.label_files import describe, export_labels, import_labels

    if (export is None) == (import_ is None):
        raise UsageError(
            "neither a file to write nor one to read" if export is None else "both at once",
            expected="--export FILE or --import FILE",
            fix="holdfast monitor labels --export labels.csv",
        )
    opened = open_workspace(workspace)
    if export is not None:
        n = export_labels(opened, export)
        print_result({"n_rows": n} if as_json else f"{n} rows to label: {export}", as_json=as_json)
        return
    found = import_labels(opened, import_ or Path())
    print_result(found.model_dump() if as_json else describe(found), as_json=as_json)
