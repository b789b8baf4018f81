"""The commands about a model at work: serve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.command_line.application import Directory, app


@app.command()
def serve(
    workspace: Directory = Path(),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0: any free one.")] = 8_000,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes that answer.")] = 1,
) -> None:
    """Answer over HTTP with the champion, and keep every answer in the traffic log."""
    from flows.commands.serve import run_serve

    run_serve(workspace, host, port, workers)
