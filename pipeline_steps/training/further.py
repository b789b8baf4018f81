"""What the weights depend on beside rows and base: teachers, old models, earlier examples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline_steps.digests import file_digest
from pipeline_steps.errors import CheckpointError, TrainingError
from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.checkpoint import load_checkpoint
from pipeline_steps.objective_params import AugmentationParams


def further_digests(params: FinetuneParams) -> dict[str, str]:
    """Return the digest of each checkpoint and file that the parameters name, by its key.

    Raises
    ------
    TrainingError
        With every one that is missing or torn.
    """
    found, mistakes = {}, []
    for key, path in checkpoints_named(params):
        try:
            found[key] = load_checkpoint(Path(path)).digest
        except CheckpointError as error:
            mistakes.append(f"finetune.{key}: {error.received}")
    for key, path in files_named(params):
        if Path(path).is_file():
            found[key] = file_digest(Path(path))
        else:
            mistakes.append(f"finetune.{key}: there is no file {path}")
    if mistakes:
        raise TrainingError(
            "\n  - ".join(["what finetune names is not there:", *mistakes]),
            expected="directories of finished Holdfast checkpoints, and files",
            fix="correct the paths in params.yaml; they count from where the command is run",
        )
    return found


def checkpoints_named(params: FinetuneParams) -> Iterator[tuple[str, str]]:
    """Yield the key and the path of every checkpoint that ``finetune.objective`` names."""
    asked = params.objective
    if asked.distillation is not None:
        for index, path in enumerate(asked.distillation.teachers):
            yield f"objective.distillation.teachers.{index}", path
    if asked.hidden is not None:
        yield "objective.hidden.teacher", asked.hidden.teacher
    if asked.ewc is not None:
        yield "objective.ewc.checkpoint", asked.ewc.checkpoint
    if asked.lwf is not None:
        yield "objective.lwf.checkpoint", asked.lwf.checkpoint


def files_named(params: FinetuneParams) -> Iterator[tuple[str, str]]:
    """Yield the key and the path of every file that the parameters name."""
    asked = params.objective
    if asked.ewc is not None:
        yield "objective.ewc.examples", asked.ewc.examples
    if asked.replay is not None:
        yield "objective.replay.examples", asked.replay.examples
    if params.augmentation is not None:
        yield from _of_augmentation(params.augmentation)
    if params.pretraining is not None and params.pretraining.examples is not None:
        yield "pretraining.examples", params.pretraining.examples


def _of_augmentation(section: AugmentationParams) -> Iterator[tuple[str, str]]:
    if section.swap_words is not None:
        yield "augmentation.swap_words", section.swap_words
    if section.attacked is not None:
        yield "augmentation.attacked.texts", section.attacked.texts
