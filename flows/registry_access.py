"""Opens the tracking server and the ledger of a workspace, and finds its champion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline_steps.types import Checkpoint, ModelVersion

if TYPE_CHECKING:
    from flows.workspace import Workspace
    from pipeline_steps.registry.ledger import Ledger
    from pipeline_steps.registry.tracking import Tracker


def open_tracker(workspace: Workspace) -> Tracker:
    """Return the one door to MLflow for this workspace."""
    from pipeline_steps.registry.tracking import Tracker

    return Tracker(
        workspace.tracking_uri,
        workspace.artifact_location,
        workspace.params.register_.experiment,
    )


def open_ledger(workspace: Workspace) -> Ledger:
    """Return the ledger of this workspace."""
    from pipeline_steps.registry.ledger import Ledger

    return Ledger(workspace.ledger_url)


def champion_version(workspace: Workspace) -> ModelVersion | None:
    """Return the version that the ledger names champion, or ``None`` before the first."""
    name = workspace.params.register_.model_name
    number = open_ledger(workspace).champion(name)
    return None if number is None else open_tracker(workspace).version(name, number)


def checkpoint_of(workspace: Workspace, version: ModelVersion) -> Checkpoint:
    """Return a version's checkpoint, downloaded once and verified by digest."""
    from pipeline_steps.inference.checkpoint import load_checkpoint

    directory = workspace.checkpoint_directory(version.checkpoint_digest)
    if not (directory / "meta.json").exists():
        open_tracker(workspace).checkpoint_of(version, into=directory)
    return load_checkpoint(directory)
