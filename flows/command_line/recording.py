"""The commands that look back at versions: report, reproduce, reseed."""

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


@app.command()
def report(
    compare: Annotated[tuple[int, int], typer.Option(help="Two versions.", metavar="A B")],
    workspace: Directory = Path(),
    output: Annotated[Path | None, typer.Option(help="Default: in the state directory.")] = None,
) -> None:
    """Write two versions side by side into one HTML file that needs nothing else."""
    from flows.commands.report import compare_versions

    print_result(str(compare_versions(open_workspace(workspace), compare, output)), as_json=False)


@app.command()
def reproduce(
    version: Annotated[int, typer.Argument(min=1, help="Number of a registered version.")],
    workspace: Directory = Path(),
    *,
    as_json: AsJson = False,
) -> None:
    """Train a version anew from its data and parameters, and compare; exit 1 if answers differ."""
    from flows.commands.reproduce import lines, reproduce_version

    found = reproduce_version(open_workspace(workspace), version, call=announced(as_json=as_json))
    print_result(found.model_dump(mode="json") if as_json else lines(found), as_json=as_json)
    raise typer.Exit(0 if found.same_answers else 1)


@app.command()
def reseed(
    version: Annotated[
        int | None, typer.Argument(min=1, help="Number of a registered version; default: champion.")
    ] = None,
    runs: Annotated[int, typer.Option(min=2, help="Trainings, each with a seed of its own.")] = 3,
    workspace: Directory = Path(),
    *,
    as_json: AsJson = False,
) -> None:
    """Train a version's recipe with other seeds: how far its scores spread; the gate reads it."""
    from flows.commands.reseed import lines, reseed_version

    found = reseed_version(
        open_workspace(workspace), version, runs, call=announced(as_json=as_json)
    )
    print_result(found.model_dump(mode="json") if as_json else lines(found), as_json=as_json)
