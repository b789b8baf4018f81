"""The command that compares two versions on logged traffic: shadow."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from flows.command_line.application import (
    AsJson,
    Directory,
    app,
    open_workspace,
    print_result,
)
from pipeline_steps.errors import UsageError


@app.command()
def shadow(  # noqa: PLR0913, PLR0917 - options
    version: Annotated[
        int | None, typer.Argument(min=1, help="The challenger; default: that alias.")
    ] = None,
    workspace: Directory = Path(),
    days: Annotated[float, typer.Option(min=0.0, help="Length of the window.")] = 7.0,
    since: Annotated[datetime | None, typer.Option(help="Its beginning, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Its end, UTC; default: now.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="Rows that are answered, at most.")] = 2_000,
    labels: Annotated[
        int, typer.Option(min=1, help="Disagreements after which it ends, to bound the labelling.")
    ] = 200,
    export: Annotated[
        Path | None, typer.Option(help="Write the disagreements to this CSV, to be labelled.")
    ] = None,
    import_: Annotated[
        Path | None, typer.Option("--import", help="Read this CSV with its labels filled in.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Replay logged traffic through champion and challenger, and label where they differ."""
    from flows.commands.shadow import labelled_lines, run_lines, window_of
    from flows.shadow_labels import conclude, export_disagreements, import_disagreements
    from flows.shadow_run import run_shadow

    opened = open_workspace(workspace)
    if import_ is not None:
        if export is not None or version is not None:
            raise UsageError(
                "--import beside another part of the command",
                expected="a window to replay, or a file with its labels",
                fix="holdfast shadow --import FILE",
            )
        found = import_disagreements(opened, import_)
        print_result(
            found.model_dump(mode="json") if as_json else labelled_lines(found), as_json=as_json
        )
        return
    run = run_shadow(opened, version, window_of(since, until, days, rows=rows, labels=labels))
    if export is not None:
        export_disagreements(opened, run, export)
    found = conclude(opened, run)
    text = f"{run_lines(run)}\n{labelled_lines(found)}"
    print_result(found.model_dump(mode="json") if as_json else text, as_json=as_json)
