"""What the parser of the command line refuses, in the three sentences of every refusal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from typer.exceptions import TyperException

from pipeline_steps.errors import UsageError

_NEAR = ". Did you mean "


@contextmanager
def explained_usage_errors() -> Iterator[None]:
    """Turn what the parser raises into a refusal.

    Raises
    ------
    UsageError
        If options or arguments are not those of the command.
    """
    try:
        yield
    except TyperException as error:
        if not error.format_message():  # a group without a command: its help was printed
            raise SystemExit(error.exit_code) from None
        raise _explained(error) from error


def _explained(error: Any) -> UsageError:
    received, _, near = error.message.partition(_NEAR)
    if not hasattr(error, "possibilities"):
        received = error.format_message().partition(_NEAR)[0]
    near = near or " or ".join(getattr(error, "possibilities", None) or ())
    asked = f"did you mean {near.rstrip('?')}? " if near else ""
    context = getattr(error, "ctx", None)  # an option without its value comes without one
    command = "holdfast COMMAND" if context is None else context.command_path
    return UsageError(
        received.rstrip("."),
        expected=command if context is None else context.get_usage().partition(":")[2].strip(),
        fix=f"{asked}what there is: {command} --help",
    )
