"""``holdfast ledger``: what was decided, by whom and why; whether the chain is whole."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from flows.registry_access import open_ledger, open_tracker
from flows.workspace import Workspace
from pipeline_steps.errors import UsageError
from pipeline_steps.registry.anchors import registry_problems
from pipeline_steps.registry.ledger_chain import export_problems, write_export


def log(workspace: Workspace) -> list[dict[str, Any]]:
    """Return every entry of the workspace's model, oldest first, as it stands there."""
    name = workspace.params.register_.model_name
    entries = open_ledger(workspace).entries(name, even_altered=True)
    return [entry.model_dump(mode="json") for entry in entries]


def verify(workspace: Workspace, export: Path | None = None) -> list[str]:
    """Return what is wrong with the ledger, on its own and beside what proves it.

    An altered or missing entry; a tail that the registry's tags or an export know and the ledger
    lacks; an alias that was moved by hand.

    Raises
    ------
    UsageError
        If ``export`` cannot be read.
    """
    ledger = open_ledger(workspace)
    problems = ledger.verify()
    if export is not None:
        problems += _compared_with(export, ledger.hashes())
    if problems:  # who is champion does not follow from entries that were changed
        return problems
    name = workspace.params.register_.model_name
    return registry_problems(open_tracker(workspace), ledger, name)


def export_entries(workspace: Workspace, path: Path) -> int:
    """Return how many entries were written to a file, of every model in the ledger.

    Raises
    ------
    RegistryError
        If an entry cannot be read or was altered; a copy of a broken ledger would prove nothing.
    """
    return write_export(path, open_ledger(workspace).entries())


def champion(workspace: Workspace, at: datetime | None) -> int | None:
    """Return the version that was champion at a time, or is now."""
    return open_ledger(workspace).champion(workspace.params.register_.model_name, at=at)


def _compared_with(export: Path, hashes: dict[int, str]) -> list[str]:
    try:
        return export_problems(export, hashes)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the export {export} cannot be read: {error}",
            expected="a file of JSON Lines in UTF-8",
            fix="name what this wrote: holdfast ledger export FILE",
        ) from error
