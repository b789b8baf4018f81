"""``holdfast``: a thin command line over the flows; every command works without a server."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from flows.command_line import (  # noqa: F401 - commands
    beginning,
    deciding,
    looping,
    promoting,
    recording,
    serving,
    shadowing,
    stressing,
    traffic,
    training,
    watching,
)
from flows.command_line.application import app
from flows.pipeline import say
from flows.storage_errors import explained_storage_errors
from flows.threads import wait_policy
from flows.usage_errors import explained_usage_errors
from pipeline_steps import __version__
from pipeline_steps.errors import HoldfastError

_INTERRUPTED = 130
_ENVIRONMENT = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}


def main() -> None:
    """Run the command line; a refusal prints its three sentences and exits non-zero."""
    _settle_environment()
    try:
        with explained_storage_errors(), explained_usage_errors():
            code = app(prog_name="holdfast", standalone_mode=False)
    except HoldfastError as error:
        say(f"holdfast: {error}")
        sys.exit(error.exit_code)
    if code == _INTERRUPTED:  # what the parser makes of an interrupt
        clear = "\n" if sys.stderr.isatty() else ""  # the terminal has echoed ^C
        say(f"{clear}holdfast: interrupted; the same command goes on from here")
    sys.exit(code)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"holdfast {__version__}")
        raise typer.Exit


@app.callback()
def _holdfast(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print it and end."),
    ] = False,
) -> None:
    pass


def _settle_environment() -> None:
    """Say, before any library is imported that reads it, what the user has not decided.

    No library of the stack sends anything home, and threads share busy cores without spinning.
    """
    for name, value in {**_ENVIRONMENT, **wait_policy(os.getloadavg()[0])}.items():
        os.environ.setdefault(name, value)
