"""What every command shares: the application, its usual options, how a result is printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.pipeline import Call, announcing, call_directly, say

if TYPE_CHECKING:
    from flows.workspace import Workspace

app = typer.Typer(
    name="holdfast",
    help="Fine-tunes language models and keeps them steady.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
Directory = Annotated[Path, typer.Option("--workspace", "-w", help="The workspace.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one machine-readable object.")]


def open_workspace(workspace: Path) -> Workspace:
    """Return the workspace in a directory."""
    from flows.workspace import Workspace

    return Workspace.open(workspace)


def announced(*, as_json: bool = False) -> Call:
    """Return a call that says which step runs, unless only an object is to be printed."""
    return call_directly if as_json else announcing(call_directly, say)


def print_result(value: Any, *, as_json: bool) -> None:
    """Print a result: as one JSON object, or as it reads."""
    typer.echo(json.dumps(value, ensure_ascii=False) if as_json else value)
