"""``holdfast ledger``: what was decided, by whom and why; whether the chain is whole."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flows.registry_access import open_ledger, open_tracker
from flows.workspace import Workspace


def log(workspace: Workspace) -> list[dict[str, Any]]:
    """Return every entry of the workspace's model, oldest first."""
    name = workspace.params.register_.model_name
    return [entry.model_dump(mode="json") for entry in open_ledger(workspace).entries(name)]


def verify(workspace: Workspace) -> list[str]:
    """Return what is wrong: an altered entry, a broken chain, an alias that was moved by hand."""
    name = workspace.params.register_.model_name
    ledger = open_ledger(workspace)
    problems = list(ledger.verify())
    alias = open_tracker(workspace).version_by_alias(name, "champion")
    recorded = ledger.champion(name)
    if (None if alias is None else alias.version) != recorded:
        problems.append(
            f"the alias champion of {name} points to "
            f"{'no version' if alias is None else f'version {alias.version}'}, the ledger says "
            f"{'none' if recorded is None else f'version {recorded}'}"
        )
    return problems


def champion(workspace: Workspace, at: datetime | None) -> int | None:
    """Return the version that was champion at a time, or is now."""
    return open_ledger(workspace).champion(workspace.params.register_.model_name, at=at)
