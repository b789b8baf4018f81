"""The attacks on a checkpoint: each becomes a suite of its own, judged like any other."""

from __future__ import annotations

from flows.attack_runs import Attacks
from flows.attack_stopping import attack_until_decided
from flows.prepare_data import Datasets
from flows.registry_access import champion_version, checkpoint_of
from flows.workspace import Workspace
from pipeline_steps.types import Checkpoint, Predictions


def attack_suites(
    workspace: Workspace, datasets: Datasets, checkpoint: Checkpoint
) -> list[Predictions]:
    """Return the checkpoint's answers under each attack of ``attack.recipes``.

    Where there are several, the last suite is the worst of them on each row. Every version is
    attacked anew on the same rows: what broke another version says little of this one. An attack
    that was run already on the same checkpoint is not run again. With ``attack.stop_early`` the
    champion is attacked beside it, each attack ends when it is clear how it ends, and there is no
    worst case: the attacks end at different rows.
    """
    stops = workspace.params.attack.stop_early
    champion = champion_beside(workspace, checkpoint) if stops else None
    return suites_against(workspace, datasets, checkpoint, champion)[0]


def suites_against(
    workspace: Workspace, datasets: Datasets, checkpoint: Checkpoint, other: Checkpoint | None
) -> tuple[list[Predictions], list[Predictions]]:
    """Return the answers of two versions under the same attacks on the same rows.

    Those of the other are empty where there is none.
    """
    versions = [checkpoint] if other is None else [checkpoint, other]
    sides = [Attacks(workspace, datasets, version) for version in versions]
    if workspace.params.attack.stop_early:
        return _until_decided(*sides)
    suites = [_to_the_end(side) for side in sides]
    return suites[0], suites[1] if len(suites) > 1 else []


def champion_beside(workspace: Workspace, checkpoint: Checkpoint) -> Checkpoint | None:
    """Return the champion's checkpoint, or ``None`` where there is none or it is this one."""
    version = champion_version(workspace)
    if version is None or version.checkpoint_digest == checkpoint.digest:
        return None
    return checkpoint_of(workspace, version)


def _to_the_end(attacks: Attacks) -> list[Predictions]:
    suites = [attacks.suite(name) for name in attacks.params.recipes]
    return [*suites, attacks.worst(suites)] if len(suites) > 1 else suites


def _until_decided(
    ours: Attacks, theirs: Attacks | None = None
) -> tuple[list[Predictions], list[Predictions]]:
    pairs = [attack_until_decided(recipe, ours, theirs) for recipe in ours.params.recipes]
    return [mine for mine, _ in pairs], [other for _, other in pairs if other is not None]
