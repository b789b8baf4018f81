"""The commands about the traffic log: traffic export, traffic forget."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from flows.command_line.application import AsJson, Directory, app, open_workspace, print_result

traffic = typer.Typer(help="The traffic log as a file, and what it is to forget.")
app.add_typer(traffic, name="traffic")


@traffic.command("export")
def traffic_export(
    file: Annotated[Path, typer.Argument(help="A Parquet file, which appears whole.")],
    workspace: Directory = Path(),
    *,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="What the challenger answered in the shadow.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write every row of the traffic log with its label as one Parquet file."""
    from flows.commands.traffic import export_traffic

    n = export_traffic(open_workspace(workspace), file, shadow=shadow)
    print_result({"n_rows": n} if as_json else f"{n} rows: {file}", as_json=as_json)


@traffic.command("forget")
def traffic_forget(
    workspace: Directory = Path(),
    days: Annotated[
        float | None,
        typer.Option(min=0.0, help="Age of the rows; default: serve.retention_days."),
    ] = None,
    before: Annotated[datetime | None, typer.Option(help="Or a time, UTC.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Remove old rows with their labels from the traffic log and the challenger's."""
    from flows.commands.traffic import describe, forget_traffic, moment_before

    opened = open_workspace(workspace)
    found = forget_traffic(opened, moment_before(opened, days, before))
    print_result(found.model_dump(mode="json") if as_json else describe(found), as_json=as_json)
