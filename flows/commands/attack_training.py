"""``holdfast attack --training-texts``: rows to learn from, as attacks on a version left them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flows.commands.attack import with_attacks
from flows.commands.evaluate import asked_version
from flows.pipeline import Call
from flows.prepare_data import prepare_data
from flows.registry_access import checkpoint_of
from flows.training_texts import TrainingTexts, attack_training_rows
from flows.workspace import Workspace, locked


def write_training_texts(
    workspace: Workspace, number: int | None, settings: dict[str, Any], path: Path, *, call: Call
) -> TrainingTexts:
    """Return what was written of attacks on a version, by default the champion, on training rows.

    Parameters
    ----------
    workspace : Workspace
        Whose training rows are attacked; no row of another split is.
    number : int, optional
        The version.
    settings : dict
        Keys of ``attack`` to read in place of those in ``params.yaml``.
    path : Path
        The Parquet file.
    call : Call
        Calls the steps.

    Raises
    ------
    RegistryError
        If there is no such version.
    """
    asked = with_attacks(workspace, {**settings, "stop_early": False})
    with locked(asked):
        version = asked_version(asked, number)
        datasets = prepare_data(asked, call=call)
        checkpoint = call(checkpoint_of, asked, version)
        n_rows, n_broken = call(attack_training_rows, asked, datasets, checkpoint, path)
    return TrainingTexts(
        path=str(path),
        version=version.version,
        recipes=asked.params.attack.recipes,
        n_rows=n_rows,
        n_broken=n_broken,
    )


def lines(found: TrainingTexts) -> str:
    """Return how many rows were written, and what to do with them."""
    return (
        f"{found.n_rows} rewritten training rows, {found.n_broken} of which broke version "
        f"{found.version} ({', '.join(found.recipes)})\n"
        f"to learn from them: finetune.augmentation.attacked: {{texts: {found.path}}}"
    )
