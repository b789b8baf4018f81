"""The commands that begin: demo, doctor, init."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.command_line.application import (
    AsJson,
    Directory,
    app,
    print_result,
)


@app.command()
def demo(
    workspace: Directory = Path(),
    *,
    prefect: Annotated[bool, typer.Option(help="Run as a Prefect flow.")] = True,
) -> None:
    """Generate the sample corpus, train, judge, register and promote; then show where all is."""
    from flows.commands.demo import run_demo

    typer.echo(run_demo(workspace, prefect=prefect))


@app.command()
def doctor(workspace: Directory = Path(), *, as_json: AsJson = False) -> None:
    """Say what is installed, which device and URIs are used, what is missing and how to mend it."""
    from flows.commands.doctor import diagnose, render

    diagnosis = diagnose(workspace)
    print_result(
        diagnosis.model_dump(mode="json") if as_json else render(diagnosis), as_json=as_json
    )
    raise typer.Exit(0 if diagnosis.healthy else 1)


@app.command()
def init(  # noqa: PLR0913, PLR0917 - one option a column
    directory: Annotated[Path, typer.Argument(help="The new workspace.")],
    train: Annotated[Path, typer.Option(help="Labelled rows to learn from.")],
    problem: Annotated[str, typer.Option(help="What the model is for.")] = "text_classification",
    valid: Annotated[Path | None, typer.Option(help="Rows for early stopping.")] = None,
    test: Annotated[Path | None, typer.Option(help="Rows to judge on.")] = None,
    suite: Annotated[list[str] | None, typer.Option(help="NAME=FILE, a shift suite.")] = None,
    text_column: Annotated[str | None, typer.Option()] = None,
    label_column: Annotated[str | None, typer.Option()] = None,
    text_pair_column: Annotated[str | None, typer.Option()] = None,
    id_column: Annotated[str | None, typer.Option()] = None,
    timestamp_column: Annotated[str | None, typer.Option()] = None,
    domain_column: Annotated[str | None, typer.Option()] = None,
    group_column: Annotated[str | None, typer.Option()] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="FIELD=NAME for any other field of ingest.columns.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="robust: params that hold against misspelt texts.")
    ] = None,
    *,
    force: Annotated[
        bool,
        typer.Option(
            help="Accept a directory that is not empty: params.yaml, dvc.yaml and data/raw are "
            "overwritten, everything else is kept."
        ),
    ] = False,
) -> None:
    """Make a workspace from your own file: raw data, params.yaml, dvc.yaml."""
    from flows.commands.init import init_workspace
    from flows.commands.raw_columns import named_columns

    columns = {
        **named_columns(column or []),
        "text": text_column,
        "label": label_column,
        "text_pair": text_pair_column,
        "id": id_column,
        "timestamp": timestamp_column,
        "domain": domain_column,
        "group": group_column,
    }
    files = {"train": train, "valid": valid, "test": test}
    message = init_workspace(
        directory,
        problem=problem,
        files=files,
        suites=suite or [],
        columns=columns,
        preset=preset,
        force=force,
    )
    typer.echo(message)
