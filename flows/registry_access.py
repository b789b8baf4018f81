"""Opens the tracking server and the ledger of a workspace, and finds its champion."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline_steps.errors import CheckpointError, RegistryError
from pipeline_steps.types import Checkpoint, ModelVersion

if TYPE_CHECKING:
    from flows.workspace import Workspace
    from pipeline_steps.registry.ledger import Ledger
    from pipeline_steps.registry.phases import Mover
    from pipeline_steps.registry.tracking import Tracker


def open_tracker(workspace: Workspace) -> Tracker:
    """Return the one door to MLflow for this workspace."""
    from pipeline_steps.registry.tracking import Tracker

    workspace.prepare_state()  # MLflow's database may lie there
    return Tracker(
        workspace.tracking_uri,
        workspace.artifact_location,
        workspace.params.register_.experiment,
    )


def open_ledger(workspace: Workspace) -> Ledger:
    """Return the ledger of this workspace; the first call makes it."""
    from pipeline_steps.registry.ledger import Ledger

    workspace.prepare_state()
    return Ledger(workspace.ledger_url)


def append_once(workspace: Workspace, event: str, *, reason: str, evidence: dict[str, Any]) -> None:
    """Append a decision about the workspace's model unless its like is in the ledger already.

    A run that was killed after it wrote to the ledger comes by here a second time. The registry's
    tags are told, once there is a version: they prove that the ledger's tail was not cut.
    """
    from pipeline_steps.registry.anchors import anchor

    ledger = open_ledger(workspace)
    name = workspace.params.register_.model_name
    ledger.append_once(
        event,
        model_name=name,
        actor=workspace.settings.actor,
        reason=reason,
        evidence=evidence,
    )
    anchor(open_tracker(workspace), ledger, name)


def open_mover(workspace: Workspace) -> Mover:
    """Return what moves champions of this workspace, in the name of who runs the command."""
    from pipeline_steps.registry.phases import Mover

    return Mover(
        open_tracker(workspace),
        open_ledger(workspace),
        workspace.settings.actor,
        workspace.settings.smoke_test_timeout_seconds,
    )


def follow_ledger(workspace: Workspace) -> int | None:
    """Return the champion after MLflow's aliases were set as the ledger says; ``None``: none.

    What a promotion that was killed half-way has left undone is done.
    """
    move = open_mover(workspace).follow(workspace.params.register_.model_name)
    return None if move is None else int(move.evidence["version"])


def champion_version(workspace: Workspace) -> ModelVersion | None:
    """Return the version that the ledger names champion, or ``None`` before the first."""
    name = workspace.params.register_.model_name
    number = open_ledger(workspace).champion(name)
    return None if number is None else open_tracker(workspace).version(name, number)


def no_champion(workspace: Workspace, expected: str) -> RegistryError:
    """Return the error that no version is champion yet, with what the gate said last, if it did."""
    from pipeline_steps.registry.verdicts import VERDICT

    name = workspace.params.register_.model_name
    verdicts = [e for e in open_ledger(workspace).entries(name) if e.event == VERDICT]
    if not verdicts:
        received, fix = f"{name} has no champion yet", "holdfast train"
    else:
        received = f"{name} has no champion yet: the gate's last verdict is {verdicts[-1].reason}"
        fix = "mend what the verdict names (holdfast ledger log), then: holdfast train"
    return RegistryError(received, expected=expected, fix=fix)


def checkpoint_of(workspace: Workspace, version: ModelVersion) -> Checkpoint:
    """Return a version's checkpoint: the one that lies here, else the registered one, fetched.

    Raises
    ------
    CheckpointError
        If what is registered is damaged, or is not what the version says it is.
    """
    found = _on_disk(workspace, version.checkpoint_digest)
    if found is not None:
        return found
    directory = workspace.checkpoint_directory(version.checkpoint_digest)
    shutil.rmtree(directory, ignore_errors=True)
    open_tracker(workspace).checkpoint_of(version, into=directory)
    try:
        return _verified(directory, version.checkpoint_digest)
    except CheckpointError as error:
        shutil.rmtree(directory)
        raise CheckpointError(
            f"the registered artifact of version {version.version} of {version.name} is damaged: "
            f"{error.received}",
            expected=f"the checkpoint with digest {version.checkpoint_digest}",
            fix=f"restore the artifacts of MLflow run {version.mlflow_run_id} from a copy, then "
            "run the command again",
        ) from error


def _on_disk(workspace: Workspace, digest: str) -> Checkpoint | None:
    """Return the checkpoint with a digest that was trained here or fetched before, if whole."""
    for meta in sorted((workspace.state / "checkpoints").glob("*/meta.json")):
        if digest in meta.read_text(encoding="utf-8"):
            with suppress(CheckpointError):
                return _verified(meta.parent, digest)
    return None


def _verified(directory: Path, digest: str) -> Checkpoint:
    from pipeline_steps.inference.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(directory)
    if checkpoint.digest != digest:
        raise CheckpointError(
            f"{directory} holds another checkpoint ({checkpoint.digest})",
            expected=f"the checkpoint with digest {digest}",
            fix="remove the directory and run the command again",
        )
    return checkpoint
